"""`xcapi dev`: one's own events and configuration, the real function, and a sandbox in X's place."""
