"""What the commands ask of X themselves: who may do what, which tags there are, and whether X would take an event."""
