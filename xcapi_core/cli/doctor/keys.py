"""The first checks of a pixel: that its secret is readable, and the keys in it well formed."""

from collections.abc import Iterator

from xcapi_core.cli.doctor.check import Check, Checks
from xcapi_core.cli.x.keys import read_secret, secret_fix
from xcapi_core.x_api.credential_cache import SecretUnavailable
from xcapi_core.x_api.credentials import Credentials, CredentialsError, OAuth1Keys, read_credentials

__all__ = ["KeyChecks"]


class KeyChecks:
    """Yields the checks `secret` and `keys`; `credentials` is set where both are well."""

    def __init__(self, pixel_id: str, reference: str) -> None:
        self._checks = Checks(pixel_id)
        self._reference = reference
        self.credentials: Credentials | None = None

    def __iter__(self) -> Iterator[Check]:
        """Read the secret, then what is in it."""
        try:
            payload, version = read_secret(self._reference)
        except SecretUnavailable as error:
            yield self._checks.failed("secret", str(error), secret_fix(self._reference, str(error)))
            yield self._checks.skipped("keys", "the secret could not be read")
            return
        yield self._checks.ok("secret", version)
        try:
            credentials = read_credentials(payload)
        except CredentialsError as error:
            yield self._checks.failed("keys", str(error), _keys_fix(self._reference))
            return
        kind = "the four OAuth 1.0a keys" if isinstance(credentials, OAuth1Keys) else "a pixel token"
        yield self._checks.ok("keys", kind)
        self.credentials = credentials


def _keys_fix(reference: str) -> str:
    if not reference.startswith("projects/"):
        return 'Write the JSON anew: the four OAuth keys, or {"pixel_token": "…"} from Events Manager.'
    name = reference.split("/")[3]
    return (
        'Add a version with the four OAuth keys, or {"pixel_token": "…"} from Events Manager: '
        f"gcloud secrets versions add {name} --project={reference.split('/')[1]} --data-file=keys.json"
    )
