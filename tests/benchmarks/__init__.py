"""How fast it is, as ratios within one run: `make bench`. Nothing here is a test; plain pytest collects none of it."""
