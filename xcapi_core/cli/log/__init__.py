"""The function's log as the commands read it: from Cloud Logging, or from a file of its lines."""
