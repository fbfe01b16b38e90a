"""What went wrong at Google, as one sentence that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError

__all__ = ["GOOGLE_ERRORS", "brief_retry", "google_errors", "sentence", "transient_retry"]

GOOGLE_ERRORS: Final = (exceptions.GoogleAPIError, GoogleAuthError)

_LOG_IN: Final = "gcloud auth application-default login"
_HINTS: Final[dict[type[exceptions.GoogleAPIError], str]] = {
    exceptions.NotFound: "it does not exist; is it the right project (--project)?",
    exceptions.PermissionDenied: "you may not; ask for the role, or log in as somebody who may",
    exceptions.Unauthenticated: f"your login is not accepted: {_LOG_IN}",
    exceptions.ServiceUnavailable: "it cannot be reached; is the network there, and the emulator running?",
    exceptions.DeadlineExceeded: "no answer in time; is the network there?",
    exceptions.RetryError: "no answer in time; is the network there?",
    exceptions.ResourceExhausted: "a quota is spent; try later or slower (--rate)",
    exceptions.InvalidArgument: "Pub/Sub refuses it",
    exceptions.MethodNotImplemented: "a local stand-in may take messages only; Google's emulator knows the rest",
    exceptions.FailedPrecondition: "Pub/Sub refuses it as things stand",
}
_BRIEFLY_S: Final = 10.0
_TRANSIENT: Final = if_exception_type(
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.ResourceExhausted,
    exceptions.Aborted,
    exceptions.InternalServerError,
    exceptions.Unknown,
    exceptions.Cancelled,
)


def transient_retry(timeout_s: float) -> Retry:
    """Return a retry of what goes by itself, for at most `timeout_s`."""
    return Retry(predicate=_TRANSIENT, initial=0.1, maximum=5.0, timeout=timeout_s)


def brief_retry() -> Retry:
    """Return the retry of a question that somebody waits for: the clients' own goes on for a minute."""
    return transient_retry(_BRIEFLY_S)


def sentence(error: Exception, what: str) -> str:
    """Say what `error` means for `what` ("The subscription projects/…")."""
    if isinstance(error, DefaultCredentialsError):
        return f"{what}: there are no Google credentials on this machine: {_LOG_IN}"
    if isinstance(error, RefreshError):
        return f"{what}: your Google login has expired: {_LOG_IN}"
    if isinstance(error, GoogleAuthError):
        return f"{what}: Google's login failed ({type(error).__name__}): {_LOG_IN}"
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")
    code = getattr(error, "grpc_status_code", None)
    name = code.name if code is not None else type(error).__name__
    said = (getattr(error, "message", "") or "").strip()
    quoted = f" (Google: {said})" if said and not isinstance(error, exceptions.RetryError) else ""
    return f"{what}: {name}{f', {hint}' if hint else ''}{quoted}"


@contextmanager
def google_errors(what: str) -> Iterator[None]:
    """End the command with a sentence where Google's service fails."""
    try:
        yield
    except GOOGLE_ERRORS as error:
        raise click.ClickException(sentence(error, what)) from error
