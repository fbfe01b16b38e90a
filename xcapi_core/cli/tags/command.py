"""`xcapi tags`: lists an account's event tags, and makes one."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich import box
from rich.table import Table
from rich.text import Text

from xcapi_core.cli.asking import confirmed
from xcapi_core.cli.configuration import config_option, require_configuration
from xcapi_core.cli.console import new_console
from xcapi_core.cli.event_options import check_pixel
from xcapi_core.cli.x.accounts import EventTag, XRefusalError, account_of_pixel, accounts, create_tag, tags_of
from xcapi_core.cli.x.client import XClient, XUnreachableError
from xcapi_core.cli.x.keys import KeysError, file_reference, oauth_keys_of
from xcapi_core.settings import Settings, normalise_event_name

__all__ = ["event_ids_of", "tags"]

# X: "Web Event Tags", with the name under which Events Manager shows those that differ.
TYPES: Final = (
    *("ADDED_PAYMENT_INFO", "ADD_TO_CART", "ADD_TO_WISHLIST", "CHECKOUT_INITIATED", "CONTENT_VIEW", "CUSTOM"),
    *("DOWNLOAD", "PRODUCT_CUSTOMIZATION", "PURCHASE", "SEARCH", "SIGN_UP", "SITE_VISIT", "START_TRIAL", "SUBSCRIBE"),
)
_WAIT: Final = "X shows an event after 5 to 15 minutes; the status turns to TRACKING within 12 to 24 hours."

_LIST_HELP = """List the pixel's event tags with name, type, status and when X last saw each.

Below the table stand the `event_ids` to paste into the configuration, as JSON, and into Terraform, as HCL. The keys
must be the four OAuth keys; a pixel token reads nothing.

\b
xcapi tags list --config config.json
xcapi tags list --pixel o8z6j --keys keys.json --json

Exits with 0; 1 where X refuses, or the pixel has no tag; 2 for wrong usage.
"""

_CREATE_HELP = """Make an event tag in the pixel's ad account. It asks first.

\b
xcapi tags create --name "Test purchase" --type CUSTOM

Exits with 0, also where you say no; 1 where X refuses; 2 for wrong usage.
"""

_Function = TypeVar("_Function", bound=Callable[..., Any])


_HELP = """List the account's event tags, or make one.

\b
xcapi tags list --config config.json
xcapi tags create --name "Test purchase" --type CUSTOM
"""


@click.group(help=_HELP, context_settings={"max_content_width": 120})
def tags() -> None:
    """Hold the two; see the help text above."""


def _pixel_options(function: _Function) -> _Function:
    function = click.option("--account", "account_id", help="The ad account; found by the pixel without it.")(function)
    function = click.option(
        "--keys",
        "keys_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="OAuth keys in a file, instead of the configured secret.",
    )(function)
    function = click.option("--pixel", "pixel_id", help="The pixel; needed where the configuration has several.")(
        function
    )
    return config_option(function)


@tags.command("list", help=_LIST_HELP, short_help="List the pixel's event tags, and when X last saw each.")
@_pixel_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: each tag, then the summary with event_ids.")
def list_(
    *, config_file: Path | None, pixel_id: str | None, keys_file: Path | None, account_id: str | None, as_json: bool
) -> None:
    """List tags; see the help text above."""
    settings = require_configuration(config_file)
    pixel_id = _pixel(settings, pixel_id)
    with _asking_x():
        client = _client(settings, pixel_id, keys_file)
        account_id = account_id or account_of_pixel(client, pixel_id)
        found = [tag for tag in tags_of(client, account_id) if tag.pixel_id == pixel_id] if account_id else []
    event_ids = event_ids_of(found)
    if as_json:
        for tag in found:
            click.echo(json.dumps(_as_json(tag), ensure_ascii=False))
        summary = {"tags": len(found), "pixel_id": pixel_id, "account_id": account_id, "event_ids": event_ids}
        click.echo(json.dumps({"summary": summary}, ensure_ascii=False))
    elif found:
        _show(found, event_ids)
    if not found:
        raise click.ClickException(
            f"No event tag of pixel {pixel_id} is among those that the keys' user sees. "
            "Make one with `xcapi tags create`, or check the pixel id and the user's role with `xcapi doctor`."
        )


@tags.command("create", help=_CREATE_HELP)
@_pixel_options
@click.option("--name", required=True, help="The tag's name in Events Manager.")
@click.option(
    "--type",
    "kind",
    required=True,
    type=click.Choice(TYPES, case_sensitive=False),
    metavar="TYPE",
    help=f"X's type: {', '.join(TYPES)}.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def create(
    *,
    config_file: Path | None,
    pixel_id: str | None,
    keys_file: Path | None,
    account_id: str | None,
    name: str,
    kind: str,
    yes: bool,
) -> None:
    """Make a tag; see the help text above."""
    settings = require_configuration(config_file)
    pixel_id = _pixel(settings, pixel_id)
    with _asking_x():
        client = _client(settings, pixel_id, keys_file)
        account_id = account_id or account_of_pixel(client, pixel_id) or _only_account(client, pixel_id)
        if not yes and not confirmed(f'Make the {kind} tag "{name}" in ad account {account_id}?'):
            click.echo("Nothing was made.")
            return
        tag = create_tag(client, account_id, name=name, kind=kind)
    click.echo(f"Made {tag.event_id}. {_WAIT}")
    click.echo(f"For event_ids: {json.dumps(event_ids_of([tag]), ensure_ascii=False)}")


def event_ids_of(found: Sequence[EventTag]) -> dict[str, str]:
    """Return the `event_ids` for these tags: named by type where a type has one tag, else by the tag's own name."""
    kinds = [tag.kind for tag in found]
    event_ids: dict[str, str] = {}
    for tag in found:
        by_kind = tag.kind != "CUSTOM" and kinds.count(tag.kind) == 1
        name = tag.kind.lower() if by_kind else normalise_event_name(tag.name) or tag.tag_id
        event_ids[name if name not in event_ids else f"{name}_{tag.tag_id}"] = tag.event_id
    return event_ids


def _show(found: Sequence[EventTag], event_ids: dict[str, str]) -> None:
    out = new_console()
    table = Table(box=box.SIMPLE_HEAD if out.is_terminal else None, pad_edge=False)
    for title in ("event_id", "type", "status", "last seen", "name"):
        table.add_column(title, overflow="fold")
    for tag in found:
        style = "green" if tag.status == "TRACKING" else "yellow"
        status = Text(tag.status or "-", style=style)
        table.add_row(tag.event_id, tag.kind or "-", status, tag.last_seen or "never", Text(tag.name))
    out.print(table)
    # Plain, so that a line is copied as it stands.
    click.echo(f'Configuration:\n  "event_ids": {json.dumps(event_ids, ensure_ascii=False)}')
    pairs = ", ".join(f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(tag)}" for name, tag in event_ids.items())
    click.echo(f"Terraform:\n  event_ids = {{ {pairs} }}")
    if any(tag.status != "TRACKING" for tag in found):
        click.echo(_WAIT)


def _as_json(tag: EventTag) -> dict[str, str]:
    shown = {"event_id": tag.event_id, "name": tag.name, "type": tag.kind, "status": tag.status}
    return shown | {"last_seen": tag.last_seen, "pixel_id": tag.pixel_id}


def _pixel(settings: Settings, asked: str | None) -> str:
    check_pixel(asked, settings)
    pixel_id = asked or settings.default_pixel
    if pixel_id is None:
        raise click.UsageError(f"Which pixel? Give --pixel: {', '.join(settings.pixels)}.")
    return pixel_id


def _client(settings: Settings, pixel_id: str, keys_file: Path | None) -> XClient:
    reference = file_reference(keys_file) if keys_file else settings.pixels[pixel_id].credentials
    return XClient(settings.api_base_url, settings.api_version, oauth_keys_of(reference))


def _only_account(client: XClient, pixel_id: str) -> str:
    seen = accounts(client)
    if len(seen) != 1:
        raise click.UsageError(
            f"Pixel {pixel_id} has no tag yet; say in which ad account with --account: {', '.join(seen)}."
        )
    return seen[0]


@contextmanager
def _asking_x() -> Iterator[None]:
    try:
        yield
    except KeysError as error:
        raise click.ClickException(f"There are no keys to ask X with: {error}") from None
    except XUnreachableError as error:
        raise click.ClickException(f"X did not answer: {error}.") from None
    except XRefusalError as error:
        raise click.ClickException(f"X refuses: {error}. `xcapi doctor` says what to do about it.") from None
