"""The keys that a command signs with: those of a pixel's configuration, or a file that is tried before it goes live."""

import asyncio
from pathlib import Path

from xcapi_core.adapters.secrets import Secrets
from xcapi_core.x_api.credential_cache import SecretUnavailable
from xcapi_core.x_api.credentials import Credentials, CredentialsError, OAuth1Keys, read_credentials

__all__ = ["KeysError", "file_reference", "keys_of", "oauth_keys_of", "read_secret", "secret_fix"]


class KeysError(Exception):
    """There are no keys to sign with; the text says why and what to do, without anything of them."""


def read_secret(reference: str) -> tuple[bytes, str]:
    """Return the payload behind a credentials reference, and its version. Raises SecretUnavailable."""
    secret = asyncio.run(Secrets().read(reference))
    return secret.payload, secret.version


def keys_of(reference: str) -> Credentials:
    """Return the keys or the token behind a reference. Raises KeysError where there are none."""
    try:
        return read_credentials(read_secret(reference)[0])
    except SecretUnavailable as error:
        raise KeysError(f"{error}. {secret_fix(reference, str(error))}") from None
    except CredentialsError as error:
        raise KeysError(f"{error}.") from None


def oauth_keys_of(reference: str) -> OAuth1Keys:
    """Return the OAuth keys behind a reference. Raises KeysError where there are none, or it is a pixel token."""
    credentials = keys_of(reference)
    if not isinstance(credentials, OAuth1Keys):
        raise KeysError("the secret holds a pixel token, which reads nothing: this needs the four OAuth keys.")
    return credentials


def file_reference(file: Path) -> str:
    """Return a file as a credentials reference."""
    return f"file:{file}"


def secret_fix(reference: str, cause: str) -> str:
    """Say what to do about a secret that `read_secret` could not read, for this `cause`."""
    if reference.startswith("env:"):
        return f'Set the variable: export {reference.removeprefix("env:")}="$(cat keys.json)"'
    if reference.startswith("file:"):
        return f"Put the keys into {reference.removeprefix('file:')}, or name the file that holds them in credentials."
    secret = reference.partition("/versions/")[0]
    project, name = secret.split("/")[1], secret.split("/")[3]
    if "PERMISSION_DENIED" in cause:
        return (
            "Your own account may not read it (the function's may). For this check alone: gcloud secrets "
            f"add-iam-policy-binding {name} --project={project} --member=user:YOU "
            "--role=roles/secretmanager.secretAccessor"
        )
    if "NOT_FOUND" in cause or "FAILED_PRECONDITION" in cause:
        return f"Put the keys in: gcloud secrets versions add {name} --project={project} --data-file=keys.json"
    if "could not be asked" in cause or "UNAUTHENTICATED" in cause:
        return "Sign in first: gcloud auth application-default login"
    return "Try again; https://status.cloud.google.com shows whether Secret Manager is unwell."
