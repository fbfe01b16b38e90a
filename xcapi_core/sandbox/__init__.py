"""A stand-in for X on loopback, and for the Google services that the demo needs."""
