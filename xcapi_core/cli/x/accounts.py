"""X's read endpoints as values: accounts, event tags, the user's role.

Sources: X Ads API reference, "Accounts", "Authenticated User Access", "Web Event Tags".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from xcapi_core.cli.foreign_text import printable
from xcapi_core.cli.x.client import XAnswer, XClient

__all__ = ["ROLES", "EventTag", "XRefusalError", "account_of_pixel", "accounts", "create_tag", "roles_of", "tags_of"]

# X: the user must have one of these in the account to send its conversions.
ROLES: Final = frozenset({"AD_MANAGER", "ACCOUNT_ADMIN"})
_OK: Final = 200
_CREATED: Final = 201


class XRefusalError(Exception):
    """X answered with a refusal. The text is X's first error, which quotes ids of accounts and users only."""

    def __init__(self, answer: XAnswer) -> None:
        super().__init__(answer.words)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTag:
    """One event tag of an account; `event_id` is its long form, `last_seen` X's own text or empty."""

    tag_id: str
    pixel_id: str
    name: str
    kind: str
    status: str
    last_seen: str

    @property
    def event_id(self) -> str:
        """Return what goes into `event_ids`."""
        return f"tw-{self.pixel_id}-{self.tag_id}"

    def is_meant_by(self, event_tag: str) -> bool:
        """Tell whether a configured tag, in its long or short form, is this one."""
        return event_tag in (self.tag_id, self.event_id)


def accounts(client: XClient) -> list[str]:
    """Return the ids of the ad accounts that the user sees. Raises XRefusalError, XUnreachableError."""
    return [str(one["id"]) for one in _listed(client, "accounts") if "id" in one and not one.get("deleted")]


def tags_of(client: XClient, account_id: str) -> list[EventTag]:
    """Return an account's event tags, deleted ones left out. Raises XRefusalError, XUnreachableError."""
    return [_tag(one) for one in _listed(client, f"accounts/{account_id}/web_event_tags") if not one.get("deleted")]


def roles_of(client: XClient, account_id: str) -> frozenset[str]:
    """Return the user's roles in an account. Raises XRefusalError, XUnreachableError."""
    answer = client.get(f"accounts/{account_id}/authenticated_user_access")
    data = _data(answer)
    permissions = data.get("permissions") if isinstance(data, dict) else None
    return frozenset(map(str, permissions)) if isinstance(permissions, list) else frozenset()


def account_of_pixel(client: XClient, pixel_id: str) -> str | None:
    """Return the account whose tags belong to a pixel, None where the user sees no such account.

    Raises XRefusalError, XUnreachableError.
    """
    for account_id in accounts(client):
        if any(tag.pixel_id == pixel_id for tag in tags_of(client, account_id)):
            return account_id
    return None


def create_tag(client: XClient, account_id: str, *, name: str, kind: str) -> EventTag:
    """Make an event tag with Events Manager's usual windows. Raises XRefusalError, XUnreachableError."""
    parameters = {
        "name": name,
        "type": kind,
        "click_window": "30",
        "view_through_window": "1",
        "retargeting_enabled": "false",
    }
    answer = client.post(f"accounts/{account_id}/web_event_tags", parameters)
    data = _data(answer)
    if not isinstance(data, dict):
        raise XRefusalError(answer)
    return _tag(data)


def _listed(client: XClient, path: str) -> Iterator[Mapping[str, object]]:
    for answer in client.pages(path):
        data = _data(answer)
        yield from (one for one in data if isinstance(one, dict)) if isinstance(data, list) else ()


def _data(answer: XAnswer) -> object:
    if answer.status not in (_OK, _CREATED):
        raise XRefusalError(answer)
    return answer.document.get("data")


def _tag(found: Mapping[str, object]) -> EventTag:
    def text(name: str) -> str:
        value = found.get(name)
        return printable(value) if isinstance(value, str) else ""

    return EventTag(
        tag_id=text("id"),
        pixel_id=text("website_tag_id"),
        name=text("name"),
        kind=text("type"),
        status=text("status"),
        last_seen=text("last_tracked_at"),
    )
