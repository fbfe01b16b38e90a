"""`xcapi authorize`: three-legged OAuth in the terminal."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click
import msgspec

from xcapi_core.cli.asking import asked
from xcapi_core.cli.authorize.legs import Authorization, AuthorizationError, oauth_host
from xcapi_core.cli.authorize.storing import StoringError, as_payload, store_in_file, storing_in_secret
from xcapi_core.cli.configuration import config_option, load_configuration
from xcapi_core.cli.x.accounts import ROLES, XRefusalError, account_of_pixel, accounts, roles_of
from xcapi_core.cli.x.client import XClient, XUnreachableError
from xcapi_core.settings import PixelSettings, Settings

__all__ = ["authorize"]

_SECRET: Final = re.compile(r"projects/[^/\s]+/secrets/[A-Za-z0-9_-]{1,255}")
_WITHOUT_CONFIGURATION: Final = Settings(dead_letter_topic="", pixels={})

_HELP = """Get the four OAuth keys for an X handle that does not own the app.

The app's own handle finds its token in the developer portal. For any other handle, its user has to say yes once: this
prints an address to open in a browser where that user is signed in, and asks for the PIN that X shows there. Then it
checks that the user is an AD_MANAGER or ACCOUNT_ADMIN of the ad account (of one at least, where the configuration's
pixels have several; with --secret, of those of the pixels that read it), and stores the keys. It never prints them.

\b
xcapi authorize --app app.json --out keys.json
xcapi authorize --app app.json --config config.json \\
    --secret projects/my-project/secrets/x-ads-o8z6j

app.json holds {"consumer_key": "…", "consumer_secret": "…"}; without --app both are asked for.

Exits with 0 when the keys are stored, 1 if anything is wrong with X or the store, 2 for wrong usage.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 120})
@click.option(
    "--app",
    "app_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The app's consumer key and secret; asked for without it.",
)
@click.option("--out", "out_file", type=click.Path(dir_okay=False, path_type=Path), help="A new file for the keys.")
@click.option("--secret", metavar="projects/…/secrets/…", help="A secret that gets the keys as a new version.")
@config_option
def authorize(*, app_file: Path | None, out_file: Path | None, secret: str | None, config_file: Path | None) -> None:
    """Authorize; see the help text above."""
    if (out_file is None) == (secret is None):
        raise click.UsageError("Say where the keys go: --out FILE or --secret projects/…/secrets/…, one of the two.")
    if secret is not None and not _SECRET.fullmatch(secret):
        raise click.BadParameter("a secret is projects/PROJECT/secrets/NAME, without a version", param_hint="--secret")
    if out_file is not None and out_file.exists():
        raise click.BadParameter(f"{out_file} is there already and is not written over", param_hint="--out")
    if out_file is not None and not (out_file.parent.is_dir() and os.access(out_file.parent, os.W_OK)):
        raise click.BadParameter(f"no folder that can be written to: {out_file.parent}", param_hint="--out")
    settings = load_configuration(config_file) or _WITHOUT_CONFIGURATION
    try:
        store = _place_for(out_file, secret)
        authorization = Authorization(oauth_host(settings.api_base_url), *_app(app_file))
        address = authorization.begin()
        click.echo("Open this address where the handle that manages the ads is signed in, and authorise the app:\n")
        click.echo(f"  {address}\n")
        keys, handle = authorization.finish(asked("PIN", otherwise="run this in a terminal"))
        click.echo(_checked_role(XClient(settings.api_base_url, settings.api_version, keys), settings, handle, secret))
        click.echo(store(as_payload(keys)))
    except XRefusalError as error:
        raise click.ClickException(_refused(error)) from None
    except XUnreachableError as error:
        raise click.ClickException(f"X did not answer: {error}. The keys are not stored.") from None
    except (AuthorizationError, StoringError) as error:
        raise click.ClickException(str(error)) from None


def _app(app_file: Path | None) -> tuple[str, str]:
    """Return the app's consumer key and secret."""
    if app_file is None:
        otherwise = "give --app FILE"
        return (
            asked("The app's consumer key (API key)", otherwise=otherwise),
            asked("The app's consumer secret (API key secret; not shown)", otherwise=otherwise, is_hidden=True),
        )
    try:
        document = msgspec.json.decode(app_file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise click.ClickException(f"Cannot read {app_file}: {error.strerror}.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        document = None
    found = document if isinstance(document, Mapping) else {}
    key, secret = (str(found.get(name, "")).strip() for name in ("consumer_key", "consumer_secret"))
    if not (key and secret):
        raise click.ClickException(f'{app_file} is not {{"consumer_key": "…", "consumer_secret": "…"}}.')
    return key, secret


def _checked_role(client: XClient, settings: Settings, handle: str, secret: str | None) -> str:
    """Return a sentence about the user's role; end the command where it does not suffice."""
    who = f"@{handle}" if handle else "The user"
    if not settings.pixels:
        seen = {account_id: roles_of(client, account_id) & ROLES for account_id in accounts(client)}
        fit = sorted(account_id for account_id, roles in seen.items() if roles)
        if not fit:
            raise click.ClickException(_no_role(who, "any ad account that it sees"))
        return f"{who} manages {', '.join(fit)}."
    served: list[str] = []
    others: dict[str, str] = {}
    for pixel_id in settings.pixels:
        account_id = account_of_pixel(client, pixel_id)
        where = f"{f'{account_id}, ' if account_id else ''}the ad account of pixel {pixel_id}"
        if roles := account_id and roles_of(client, account_id) & ROLES:
            served.append(f"{who} is {' and '.join(sorted(roles))} of {where}.")
        else:
            others[pixel_id] = where if account_id else f"{where}, or the pixel has no tag"
    # Pixels of several advertisers have keys of several handles; a secret's new keys must serve those that read it.
    missed = [where for pixel_id, where in others.items() if secret and _reads(settings.pixels[pixel_id], secret)]
    if missed or not served:
        raise click.ClickException(_no_role(who, (missed or list(others.values()))[0]))
    needs = [
        f"{who} is neither AD_MANAGER nor ACCOUNT_ADMIN of {where}: it needs other keys." for where in others.values()
    ]
    return "\n".join([*served, *needs])


def _reads(pixel: PixelSettings, secret: str) -> bool:
    return pixel.credentials.startswith(f"{secret}/versions/")


def _no_role(who: str, where: str) -> str:
    return (
        f"{who} is neither AD_MANAGER nor ACCOUNT_ADMIN of {where}. The keys are not stored.\n"
        "In ads.x.com, under the account's name, Edit access to account: add the handle as Ad manager, then run this "
        "again."
    )


def _refused(error: XRefusalError) -> str:
    sentence = {
        401: "X does not take the new keys: is this machine's clock right?",
        403: "The app has no access to the Ads API yet: apply for it, with Conversion API ticked, and run this again.",
    }.get(error.answer.status, "X refused the check of the user's role.")
    return f"{sentence} X said: {error}. The keys are not stored."


def _place_for(out_file: Path | None, secret: str | None) -> Callable[[bytes], str]:
    """Return what stores the keys and says where they are."""
    if out_file is not None:
        trial = f"`xcapi doctor --keys {out_file} --pixel …` tries them."

        def into_file(payload: bytes) -> str:
            store_in_file(out_file, payload)
            return f"The keys are in {out_file}, which only you can read. {trial}"

        return into_file
    assert secret is not None  # noqa: S101  one of the two was asked for
    add_version = storing_in_secret(secret)
    return lambda payload: f"The keys are in {add_version(payload)}. Running instances take them within five minutes."
