"""What `xcapi sandbox` prints: for people, for scripts, or next to nothing."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from rich.text import Text

from xcapi_core.cli.console import OutputConsole
from xcapi_core.cli.foreign_text import printable
from xcapi_core.sandbox.config import DEMO_OAUTH_KEYS, DEMO_PIXEL_TOKENS, SandboxConfig
from xcapi_core.sandbox.recorder import RequestRecord
from xcapi_core.sandbox.server import SandboxServer

__all__ = ["JsonOutput", "Output", "PeopleOutput", "QuietOutput"]


class Output(Protocol):
    """Tells somebody that the sandbox runs, and of each request."""

    def started(self, server: SandboxServer, config_file: Path | None) -> None:
        """Say that requests are answered now, and where."""

    def request(self, record: RequestRecord) -> None:
        """Say what became of a request. Called in the server's thread."""


class QuietOutput:
    """The address, and nothing else."""

    def started(self, server: SandboxServer, config_file: Path | None) -> None:  # noqa: ARG002  the protocol's
        """Print the address."""
        print(server.url, flush=True)  # noqa: T201  this is the command's output

    def request(self, record: RequestRecord) -> None:
        """Print nothing."""


class JsonOutput:
    """JSON lines: `{"listening": url}`, then each request as `GET /sandbox/conversions` shows it."""

    def started(self, server: SandboxServer, config_file: Path | None) -> None:  # noqa: ARG002  the protocol's
        """Print the address."""
        print(json.dumps({"listening": server.url}), flush=True)  # noqa: T201  as above

    def request(self, record: RequestRecord) -> None:
        """Print the record."""
        print(json.dumps({"request": record.as_json()}), flush=True)  # noqa: T201  as above


class PeopleOutput:
    """How to use it, then a line a request: in colour on a terminal, plain in a pipe."""

    def __init__(self) -> None:
        self._console = OutputConsole(highlight=False, soft_wrap=True)

    def started(self, server: SandboxServer, config_file: Path | None) -> None:
        """Print how to use it."""
        for line in _banner(server.url, server.config, config_file):
            self._print(line)

    def request(self, record: RequestRecord) -> None:
        """Print one line."""
        self._print(_request_line(record))

    def _print(self, line: Text | str) -> None:
        self._console.print(line, markup=False)


def _banner(url: str, config: SandboxConfig, config_file: Path | None) -> list[Text | str]:
    title = Text.assemble(("X Conversions API sandbox", "bold"), " on ", (url, "bold cyan"), "   (Ctrl-C stops it)")
    lines: list[Text | str] = [title, ""]
    lines += [f"  pixel {p.pixel_id}: " + (_tags(p.event_tags) or "any event tag") for p in config.pixels]
    if config.any_pixel:
        lines.append("  any other pixel, with the OAuth keys")
    if config.any_tag:
        lines.append("  any event tag")
    lines += ["", *_keys(config, config_file), "", "Try it:"]
    pixel_id, token, tag = _example(config)
    lines += [
        f"  curl -s {url}/{config.api_version}/measurement/conversions/{pixel_id} \\",
        f"    -H 'Content-Type: application/json' -H \"X-Pixel-Token: {token}\" \\",
        f"    -d '{_conversion(tag)}'",
        "",
        f"Watch it live:   {url}/",
        f"What it saw:     curl -s {url}/sandbox/conversions",
        f'A bad day at X:  curl -s {url}/sandbox/faults -d \'{{"status": 503, "times": 3}}\'',
        f"Well again:      curl -s -X DELETE {url}/sandbox/faults",
        "",
    ]
    return lines


def _tags(event_tags: Mapping[str, str]) -> str:
    return ", ".join(f"{tag} ({name})" if name else tag for tag, name in event_tags.items())


def _keys(config: SandboxConfig, config_file: Path | None) -> list[str]:
    """Show the demo's keys, which are public, of pixels that there are; real ones from a file stay there."""
    lines = []
    for keys in config.keys.oauth:
        if keys == DEMO_OAUTH_KEYS:
            names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
            lines += [f"  {name:<20} {getattr(keys, name)}" for name in names]
        else:
            lines.append(f"  OAuth keys           as in {config_file}")
    for pixel_id, tokens in config.keys.pixel_tokens.items():
        if config.pixel(pixel_id) is None:
            continue
        public = tokens == DEMO_PIXEL_TOKENS.get(pixel_id)
        shown = ", ".join(tokens) if public else f"as in {config_file}"
        lines.append(f"  {'pixel token ' + pixel_id:<20} {shown}")
    return lines


def _example(config: SandboxConfig) -> tuple[str, str, str]:
    """Return a pixel, its token (or the shell variable to put it in) and one of its tags."""
    by_token = [p for p in config.pixels if config.keys.pixel_tokens.get(p.pixel_id)]
    pixel = next(iter(by_token or config.pixels), None)
    if pixel is None:
        return "o8z6j", "$PIXEL_TOKEN", "o8z21"
    tokens = config.keys.pixel_tokens.get(pixel.pixel_id)
    token = tokens[0] if tokens and tokens == DEMO_PIXEL_TOKENS.get(pixel.pixel_id) else "$PIXEL_TOKEN"
    return pixel.pixel_id, token, next(iter(pixel.event_tags), "o8z21")


def _conversion(tag: str) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    conversion = {
        "conversion_time": now,
        "event_id": tag,
        "identifiers": [{"twclid": "23opevjt88psuo13lu8d020qkn"}],
        "conversion_id": "order-1",
        "value": "20.00",
        "price_currency": "USD",
    }
    return json.dumps({"conversions": [conversion]})


_LONGEST_SHOWN = 300
_COLOURS = {0: "red", 2: "green", 3: "yellow", 4: "yellow", 5: "red"}


def _request_line(record: RequestRecord) -> Text:
    local = datetime.fromtimestamp(record.received_at, UTC).astimezone()
    status = str(record.status) if record.status else "---"
    events = f"{record.conversions} conversion" + ("" if record.conversions == 1 else "s")
    pixel_id = printable(record.pixel_id)[:_LONGEST_SHOWN]
    line = Text.assemble(
        (f"{local:%H:%M:%S} ", "dim"),
        (f" {status} ", f"bold {_COLOURS.get(record.status // 100, 'white')}"),
        f" {pixel_id:<8} {events:>16} {record.duration_ms:>9.1f} ms  {record.auth:<11}",
    )
    remarks = [" ".join(record.error_codes), printable(record.hint)[:_LONGEST_SHOWN]]
    remarks += [
        f"injected: {record.fault}" if record.fault else "",
        "came before the time X had named" if record.early else "",
    ]
    told = "; ".join(remark for remark in remarks if remark)
    if told:
        line.append("  " + told, "dim" if record.status < 300 else "")  # noqa: PLR2004  HTTP's classes
    return line
