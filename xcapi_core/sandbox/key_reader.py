"""JSON → keys: what `PUT /sandbox/keys` takes, refused as a whole with every problem named. Pure."""

from typing import Final

from xcapi_core.problems import Problem
from xcapi_core.sandbox.checks import BOOLEAN, STRING, Fields, check_fields, kind_of
from xcapi_core.sandbox.config import KeyRing, OAuthKeys

__all__ = ["read_keys"]


def read_keys(found: object, current: KeyRing) -> tuple[KeyRing, list[Problem]]:
    """Read `{"oauth": [{four keys}], "pixel_tokens": {pixel: [token]}}`; what is absent stays as it is.

    A pixel's tokens, too, stay where they are not given; an empty list takes them away.
    """
    if not isinstance(found, dict):
        expected = 'an object with "oauth", "pixel_tokens" or both'
        return current, [Problem(path="keys", found=kind_of(found), expected=expected)]
    problems = check_fields(found, _KEYS_FIELDS, "keys")
    oauth, tokens = current.oauth, current.pixel_tokens
    if "oauth" in found and isinstance(found["oauth"], list):
        read = [_read_oauth(one, f"keys.oauth[{index}]", problems) for index, one in enumerate(found["oauth"])]
        oauth = tuple(keys for keys in read if keys)
    given = found.get("pixel_tokens")
    if isinstance(given, dict):
        read_tokens = {p: (t,) if isinstance(t, str) else tuple(t) for p, t in given.items() if _is_tokens(t)}
        tokens = {**tokens, **read_tokens}
        problems += [
            Problem(path=f"keys.pixel_tokens.{pixel}", found=kind_of(one), expected="a token or a list of tokens")
            for pixel, one in given.items()
            if not _is_tokens(one)
        ]
    return (current if problems else KeyRing(oauth=oauth, pixel_tokens=tokens)), problems


_KEYS_FIELDS: Final[Fields] = {
    "oauth": (lambda v: isinstance(v, list), "a list of objects with the four OAuth keys"),
    "pixel_tokens": (lambda v: isinstance(v, dict), "an object of pixel ids and tokens"),
}
_OAUTH_FIELDS: Final[Fields] = {
    "consumer_key": STRING,
    "consumer_secret": STRING,
    "access_token": STRING,
    "access_token_secret": STRING,
    "user_id": STRING,
    "ads_api_access": BOOLEAN,
    "pixel_ids": (lambda v: isinstance(v, list) and all(isinstance(p, str) for p in v), "a list of pixel ids"),
    "permissions": (lambda v: isinstance(v, list) and all(isinstance(p, str) for p in v), "a list of roles"),
}
_FOUR_KEYS: Final = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")


def _is_tokens(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _read_oauth(found: object, path: str, problems: list[Problem]) -> OAuthKeys | None:
    if not isinstance(found, dict):
        problems.append(Problem(path=path, found=kind_of(found), expected="an object with the four OAuth keys"))
        return None
    wrong = check_fields(found, _OAUTH_FIELDS, path)
    wrong += [Problem(path=f"{path}.{k}", found="nothing", expected="a string") for k in _FOUR_KEYS if k not in found]
    problems += wrong
    if wrong:
        return None
    values = dict(found)
    if "pixel_ids" in values:
        values["pixel_ids"] = frozenset(values["pixel_ids"])
    if "permissions" in values:
        values["permissions"] = tuple(values["permissions"])
    return OAuthKeys(**values)
