"""`xcapi sandbox`: the local X Conversions API alone, for anybody's client."""

import ipaddress
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from xcapi_core.cli.sandbox_output import JsonOutput, Output, PeopleOutput, QuietOutput
from xcapi_core.cli.standard_output import discard_output
from xcapi_core.cli.stop import INTERRUPTED, Stop
from xcapi_core.sandbox.config import SandboxConfig
from xcapi_core.sandbox.config_reader import read_config
from xcapi_core.sandbox.recorder import RequestRecord
from xcapi_core.sandbox.server import PortTakenError, SandboxServer

__all__ = ["sandbox"]

_HELP = """Run a local X Conversions API to try any client against.

It answers POST /12/measurement/conversions/{pixel_id} as X does: it verifies OAuth 1.0a signatures or the pixel token,
refuses what X refuses with X's status, code and wording, takes a request's conversions all or not at all, and keeps
the rate budget with its headers. Nothing leaves this machine. Point a client at it in place of https://ads-api.x.com.

\b
xcapi sandbox --config sandbox.json

Its console shows each request in a browser, at http://127.0.0.1:8089/. What it saw, and how to forget it:

\b
curl -s http://127.0.0.1:8089/sandbox/conversions
curl -sX DELETE http://127.0.0.1:8089/sandbox/conversions

A bad day at X, and well again:

\b
curl -s http://127.0.0.1:8089/sandbox/faults \\
  -d '{"status": 503, "times": 3}'
curl -sX DELETE http://127.0.0.1:8089/sandbox/faults

Other faults: rate limited; slow and flaky; one refused, not saying which:

\b
-d '{"status": 429, "reset_in_s": 20, "times": 1}'
-d '[{"latency_s": 0.5}, {"drop": true, "rate": 0.1}]'
-d '{"refuse": {"conversion_id": "1", "named": false}}'

Rotated keys:

\b
curl -sX PUT http://127.0.0.1:8089/sandbox/keys \\
  -d '{"pixel_tokens": {"o8z6j": "new-token"}}'

--config FILE is a JSON object; all of it is optional:

\b
{"pixels": {"o8z6j": {"account_id": "18ce552mlaq",
    "event_tags": {"o8z21": "purchase"}}},
 "keys": {"oauth": [{
    "consumer_key": "…", "consumer_secret": "…",
    "access_token": "…", "access_token_secret": "…"}],
    "pixel_tokens": {"o8z6j": "…"}},
 "events_per_window": 60000, "window_s": 900}

Exits with 0 after SIGTERM, 130 after Ctrl-C, 1 where it cannot start, 2 for wrong usage.
"""


@click.command(help=_HELP, context_settings={"max_content_width": 120})
@click.option("--port", type=click.IntRange(0, 65535), default=8089, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your pixels, keys and limits; see above.",
)
@click.option("--any-tag", is_flag=True, help="Accept every event tag (event_id).")
@click.option("--any-pixel", is_flag=True, help="Accept every pixel, with OAuth keys.")
@click.option("--quiet", is_flag=True, help="Print the address and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: the address, then each request.")
def sandbox(
    *, port: int, host: str, config_file: Path | None, any_tag: bool, any_pixel: bool, quiet: bool, as_json: bool
) -> None:
    """Run the sandbox until it is told to stop."""
    stop, signals = Stop(), set[int]()

    def tell(number: int, _frame: object) -> None:
        signals.add(number)
        stop.tell()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    config = _config(config_file, any_tag=any_tag, any_pixel=any_pixel)
    output: Output = JsonOutput() if as_json else QuietOutput() if quiet else PeopleOutput()
    failures: list[OSError] = []
    on_request = _until_the_output_fails(output, stop, failures)
    server = SandboxServer(config, host=host, port=port, on_request=on_request)
    try:
        server.start()
    except PortTakenError as error:
        raise click.ClickException(
            f"Port {port} is taken on {host}: choose another with --port, or --port 0 for a free one."
        ) from error
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host} port {port}: {error.strerror or error}.") from error
    if not _is_loopback(host):
        click.echo(
            f"Warning: {host} is reachable from other machines. They may send; console and /sandbox/ stay local.",
            err=True,
        )
    try:
        output.started(server, config_file)
        while server.is_alive and not stop.wait(1.0):
            pass
    except OSError as error:
        failures.append(error)
        stop.tell()
    finally:
        server.stop()
    if not stop.is_told:
        raise click.ClickException("The sandbox's server ended by itself.")
    if failures:
        if not isinstance(failures[0], BrokenPipeError):
            raise failures[0]
        discard_output()
    if signal.SIGINT in signals:
        sys.exit(INTERRUPTED)


def _config(config_file: Path | None, *, any_tag: bool, any_pixel: bool) -> SandboxConfig:
    config = SandboxConfig()
    if config_file is not None:
        try:
            document = json.loads(config_file.read_text(encoding="utf-8"))
        except OSError as error:
            raise click.ClickException(f"Cannot read {config_file}: {error.strerror}.") from error
        except json.JSONDecodeError as error:
            raise click.ClickException(
                f"{config_file} is not JSON from line {error.lineno}, column {error.colno} on: {error.msg}."
            ) from error
        except (ValueError, RecursionError) as error:
            raise click.ClickException(f"{config_file} is not JSON in UTF-8.") from error
        config, problems = read_config(document)
        if problems:
            raise click.ClickException(
                "\n  ".join([f"{config_file} is not a sandbox configuration:", *map(str, problems)])
            )
    return replace(config, any_tag=config.any_tag or any_tag, any_pixel=config.any_pixel or any_pixel)


def _until_the_output_fails(output: Output, stop: Stop, failures: list[OSError]) -> Callable[[RequestRecord], None]:
    def on_request(record: RequestRecord) -> None:
        try:
            output.request(record)
        except OSError as error:
            # `xcapi sandbox | head`: nobody reads any more, so that is the end of the session.
            failures.append(error)
            stop.tell()

    return on_request


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
