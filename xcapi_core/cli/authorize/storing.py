"""Where new keys go: a file that only its owner can read, or a new version of a secret."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from xcapi_core.x_api.credentials import OAuth1Keys

__all__ = ["StoringError", "as_payload", "store_in_file", "storing_in_secret"]

_OWNER_ONLY: Final = 0o600


class StoringError(Exception):
    """The keys could not be stored; the text says why and what to do, without the keys."""


def as_payload(keys: OAuth1Keys) -> bytes:
    """Return the keys as the function reads them from a secret."""
    return msgspec.json.encode(keys)


def store_in_file(file: Path, payload: bytes) -> None:
    """Write a new file with mode 600. Raises StoringError, where a file of this name is there, too."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(payload)
    except FileExistsError:
        raise StoringError(f"{file} is there already and is not written over: name another file.") from None
    except OSError as error:
        raise StoringError(f"{file} could not be written: {error.strerror}.") from None


def storing_in_secret(secret: str, environ: Mapping[str, str] = os.environ) -> Callable[[bytes], str]:
    """Return what adds a version to `projects/…/secrets/…` and returns its name; it raises StoringError.

    Raises StoringError at once where nobody is signed in, before anybody is asked for anything.
    """
    # Google's client is slow to import, and only this needs it.
    from google.api_core import exceptions  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    from xcapi_core.adapters.google_grpc import status_name  # noqa: PLC0415
    from xcapi_core.adapters.secret_manager import open_secret_manager  # noqa: PLC0415

    def not_asked(error: Exception) -> StoringError:
        return StoringError(
            f"Secret Manager could not be asked ({type(error).__name__}). Sign in first (gcloud auth "
            "application-default login) and run this again, or run it with --out FILE."
        )

    try:
        client = open_secret_manager(environ)
    except (GoogleAuthError, OSError) as error:
        raise not_asked(error) from None

    def store(payload: bytes) -> str:
        try:
            version = client.add_secret_version(request={"parent": secret, "payload": {"data": payload}}, timeout=20.0)
        except exceptions.GoogleAPICallError as error:
            raise StoringError(
                f"Secret Manager answered {status_name(error)}. Run this again, with {secret} made and "
                "roles/secretmanager.secretVersionAdder on it, or with --out FILE."
            ) from None
        except (GoogleAuthError, OSError) as error:
            raise not_asked(error) from None
        return str(version.name)

    return store
