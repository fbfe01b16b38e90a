"""`xcapi authorize`: keys for a handle that does not own the app."""
