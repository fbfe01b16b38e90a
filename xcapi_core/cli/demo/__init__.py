"""`xcapi demo`: a story of events, the stage it plays on, and the account of where each event ended."""
