"""Event names and X's event tags: which tag of a pixel an event stands for."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from xcapi_core.events.fields import cut_invisible, is_absent, kind_of, read_text
from xcapi_core.problems import Problem
from xcapi_core.settings import PixelSettings, normalise_event_name

__all__ = ["SYNONYMS", "belongs_to", "find_tag", "list_names", "read_tag"]

_MOST_NAMES_LISTED = 30

# What the sources of a dialect call an event, normalised, and the key of `event_ids` that means it. Refunds and
# cancellations stand for nothing here: they are sent only where a pixel names them.
SYNONYMS: Final[Mapping[str, Mapping[str, str]]] = {
    "x": {},
    "ga4": {
        "add_payment_info": "added_payment_info",
        "begin_checkout": "checkout_initiated",
        "ecommerce_purchase": "purchase",
        "file_download": "download",
        "generate_lead": "lead",
        "page_view": "site_visit",
        "view_item": "content_view",
        "view_search_results": "search",
    },
    "segment": {
        "account_created": "sign_up",
        "added_product": "add_to_cart",
        "checkout_started": "checkout_initiated",
        "completed_order": "purchase",
        "file_downloaded": "download",
        "lead_generated": "lead",
        "order_completed": "purchase",
        "page_viewed": "site_visit",
        "payment_info_entered": "added_payment_info",
        "product_added": "add_to_cart",
        "product_added_to_wishlist": "add_to_wishlist",
        "product_viewed": "content_view",
        "products_searched": "search",
        "signed_up": "sign_up",
        "subscription_started": "subscribe",
        "trial_started": "start_trial",
        "viewed_product": "content_view",
        "wishlist_product_added_to_cart": "add_to_cart",
    },
}


def find_tag(event_ids: Mapping[str, str], name: str, synonyms: Mapping[str, str] = SYNONYMS["x"]) -> str | None:
    """Return the tag configured for an event name: an exact match, one that means the same, a synonym, in this order.

    Case, surrounding space and the difference between space, `_` and `-` mean nothing. `synonyms` is one of
    `SYNONYMS`.
    """
    if (exact := event_ids.get(name)) is not None:
        return exact
    meant = _normalised(name)
    keys = (meant, synonyms[meant]) if meant in synonyms else (meant,)
    configured = _normalised_keys(tuple(event_ids))
    for wanted in keys:
        if (tag := event_ids.get(wanted)) is not None:
            return tag
        if (key := configured.get(wanted)) is not None:
            return event_ids[key]
    return None


@lru_cache(maxsize=256)  # of configured pixels
def _normalised_keys(names: tuple[str, ...]) -> Mapping[str, str]:
    """Return the first of the names for each form in which names are compared."""
    return {normalise_event_name(name): name for name in reversed(names)}


def _normalised(name: str) -> str:
    return _normalised_short(name) if len(name) <= _LONGEST_NAME_KEPT else normalise_event_name(name)


_LONGEST_NAME_KEPT: Final = 40
_normalised_short: Final = lru_cache(maxsize=1_024)(normalise_event_name)  # a stream has a few dozen names


def belongs_to(tag: str, pixel_id: str) -> bool:
    """Tell whether X could know this tag at this pixel: any tag but another pixel's `tw-{pixel}-{event}`.

    The short form names no pixel, and other forms are left to X's judgement.
    """
    if tag.startswith(f"tw-{pixel_id}-"):
        return True
    prefix, _, rest = tag.partition("-")
    owner, dash, _ = rest.partition("-")
    return prefix.lower() != "tw" or not dash or owner.lower() == pixel_id.lower()


def read_tag(event: Mapping[str, object], pixel: PixelSettings, *, format_is_stated: bool) -> str | Problem:
    """Return the tag of an `x` event: its `event_id`, else what its `event` or `event_name` is configured as."""
    given = event.get("event_id")
    if given is None and isinstance(name := event.get("event"), str):
        exact = pixel.event_ids.get(name)
        if exact is not None and belongs_to(exact, pixel.pixel_id):
            return exact
    tag = None if given is None else read_text(cut_invisible(given) if isinstance(given, str) else given)
    if tag is None and not (is_absent(given) or isinstance(given, str)):
        return Problem(path="event_id", found=kind_of(given), expected="an event tag from Events Manager, as text")
    path = "event_id"
    if tag is None:
        path, tag = _look_up(event, pixel)
    elif not _is_tag(tag, pixel) and (not format_is_stated and not is_absent(event.get("event_name"))):
        # GA4's event data names the event in event_name and gives it an event_id that is no tag of X's.
        return Problem(
            path="event_id",
            found="no tw-… tag and none of the pixel's, beside an event_name: this may be GA4 event data",
            expected="the message's attribute format=x (or ga4, segment), which says what the event is",
        )
    elif not _is_tag(tag, pixel) and _look_up(event, pixel)[1] is not None:
        return Problem(
            path="event_id",
            found="no tw-… tag and none of the pixel's, beside a name that has a tag",
            expected="no event_id: event_id is X's event tag; your dedup key belongs in conversion_id",
        )
    if tag is None:
        return Problem(
            path=path or "event_id",
            found="a name that the pixel does not list" if path else "no event tag",
            expected=f"event_id, or event or event_name from the pixel's event_ids: {list_names(pixel)}",
        )
    if not belongs_to(tag, pixel.pixel_id):
        return Problem(
            path=path, found="another pixel's tag", expected=f"tw-{pixel.pixel_id}-…, or pixel_id to match the tag"
        )
    return tag


def _is_tag(text: str, pixel: PixelSettings) -> bool:
    """Tell whether an `event_id` is surely a tag: `tw-…`, or one of the pixel's in its long or short form."""
    return text.lower().startswith("tw-") or any(
        text in (known, known.rpartition("-")[2]) for known in pixel.event_ids.values()
    )


def list_names(pixel: PixelSettings) -> str:
    """Return the pixel's event names for a problem's `expected`."""
    names = list(pixel.event_ids)
    listed = ", ".join(names[:_MOST_NAMES_LISTED])
    return f"{listed}, …" if len(names) > _MOST_NAMES_LISTED else listed or "(none)"


def _look_up(event: Mapping[str, object], pixel: PixelSettings) -> tuple[str, str | None]:
    """Return the field that named the event, "" for none, and its tag."""
    named = ""
    for field in ("event", "event_name"):
        given = event.get(field)
        if given is None or is_absent(given):
            continue
        named = named or field
        name = read_text(given)
        tag = find_tag(pixel.event_ids, name) if name is not None else None
        if tag is not None:
            return field, tag
    return named, None
