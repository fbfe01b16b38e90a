"""`xcapi listen`: a preview of X on a live topic."""
