"""`xcapi doctor`: the configuration against the real services, and what to do about each failure."""
