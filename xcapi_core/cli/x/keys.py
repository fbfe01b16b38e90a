"""The keys that a command signs with: those of a pixel's configuration, or a file that is tried before it goes live."""

import asyncio
from pathlib import Path

from xcapi_core.adapters.secrets import Secrets
from xcapi_core.x_api.credential_cache import SecretUnavailable
from xcapi_core.x_api.credentials import Credentials, CredentialsError, OAuth1Keys, read_credentials

__all__ = ["KeysError", "file_reference", "keys_of", "oauth_keys_of", "read_secret"]


class KeysError(Exception):
    """There are no keys to sign with; the text says why, without anything of them."""


def read_secret(reference: str) -> tuple[bytes, str]:
    """Return the payload behind a credentials reference, and its version. Raises SecretUnavailable."""
    secret = asyncio.run(Secrets().read(reference))
    return secret.payload, secret.version


def keys_of(reference: str) -> Credentials:
    """Return the keys or the token behind a reference. Raises KeysError where there are none."""
    try:
        return read_credentials(read_secret(reference)[0])
    except (SecretUnavailable, CredentialsError) as error:
        raise KeysError(str(error)) from None


def oauth_keys_of(reference: str) -> OAuth1Keys:
    """Return the OAuth keys behind a reference. Raises KeysError where there are none, or it is a pixel token."""
    credentials = keys_of(reference)
    if not isinstance(credentials, OAuth1Keys):
        raise KeysError("the secret holds a pixel token, which reads nothing: this needs the four OAuth keys")
    return credentials


def file_reference(file: Path) -> str:
    """Return a file as a credentials reference."""
    return f"file:{file}"
