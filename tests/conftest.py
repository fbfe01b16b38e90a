"""What holds for the whole suite."""

import signal

# A job that a shell started in the background ignores SIGINT, and so do all its children: the tests that press Ctrl-C
# on a process would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
