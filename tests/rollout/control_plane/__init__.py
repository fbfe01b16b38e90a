"""A Google Cloud control plane on this machine, for `terraform apply` with the real provider.

Small, and strict where the module could be wrong: identities must exist, every call needs a binding, the function is
built from the zip that was uploaded and started with the environment that it was given. Pub/Sub is Google's emulator.
"""
