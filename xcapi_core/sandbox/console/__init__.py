"""The console: a page on loopback that shows events as they arrive, each with X's verdict and what to do."""
