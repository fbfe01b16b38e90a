"""`xcapi trace`: where a conversion ended."""
