"""What holds for the whole suite."""

import os
import signal

# A job that a shell started in the background ignores SIGINT, and so do all its children: the tests that press Ctrl-C
# on a process would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How output looks, and when it comes, is what the tests are about: one terminal's or machine's settings, which every
# process that a test starts would inherit, must not decide it. A test that is about one of these sets it.
for name in ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm"

# Here everything is on loopback, where a proxy between this machine and the network has no part.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))

# The user's own deployment is none of a test's business.
for name in ("XCAPI_CONFIG", "XCAPI_CONFIG_FILE", "PUBSUB_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
    os.environ.pop(name, None)
