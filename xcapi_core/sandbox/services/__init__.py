"""The Google services on this machine: Secret Manager, Pub/Sub, and the function itself under its real framework.

The demo and the end-to-end tests stand on these, so that both take the path that is deployed.
"""
