"""`xcapi publish`: files of events into a topic."""
