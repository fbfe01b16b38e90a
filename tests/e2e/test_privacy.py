"""Nothing personal or secret in any output line or answer, whatever happens, at any level."""

import asyncio
import base64
import hashlib
import json
import signal
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.e2e.deployment import OAUTH_SECRET, TOKEN_SECRET
from tests.e2e.nasty_x import Behaviour, NastyX, Received, answer, well
from tests.e2e.push import Answer, envelope, new_id, post, push, request
from tests.e2e.stack import Stack, oauth_payload, running, token_payload
from xcapi_core.sandbox.config import OAuthKeys
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.function_venv import FunctionVenv
from xcapi_core.sandbox.services.secret_manager import LocalSecretManager

pytestmark = pytest.mark.e2e

EMAIL = "Zebulon.Quixley+Winter@Veryrare-Mail.example"
PHONE = "+4915207931846"
PHONE_NATIONAL = "0152 0793 1846"
IP = "203.0.113.177"
USER_AGENT = "Mozilla/5.0 (Zyx; Quokka 9.17) GeckoZz/2026"
TWCLID = "2-7qzk8w5rm1unlikelyclickid9v"
KEYS = OAuthKeys(
    consumer_key="PrivConsumerKeyQ7w8e9r0",
    consumer_secret="PrivConsumerSecretA1s2D3f4G5h6J7k8L9",
    access_token="998877665544-PrivAccessTokenZ1x2C3v4B5n6M7",
    access_token_secret="PrivAccessTokenSecretP0o9I8u7Y6t5R4e3",
)
PIXEL_TOKEN = "priv-pixel-token-5f4d3c2b1a0e9d8c7b6a"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


SECRETS = {
    "e-mail": EMAIL,
    "e-mail's local part": EMAIL.partition("@")[0],
    "e-mail's digest": _sha256(EMAIL.lower()),
    "phone": PHONE,
    "phone without plus": PHONE[1:],
    "phone, national": PHONE_NATIONAL,
    "phone, national, bare": PHONE_NATIONAL.replace(" ", ""),
    "phone's digest": _sha256(PHONE),
    "IP address": IP,
    "user agent": USER_AGENT,
    "a part of the user agent": "Quokka 9.17",
    "click id": TWCLID,
    "consumer key": KEYS.consumer_key,
    "consumer secret": KEYS.consumer_secret,
    "access token": KEYS.access_token,
    "access token secret": KEYS.access_token_secret,
    "pixel token": PIXEL_TOKEN,
}


def _forms(secret: str) -> set[str]:
    """Every spelling in which a secret could hide."""
    plain = {secret, secret.lower(), secret.upper()}
    encoded = (
        {quote(one, safe="") for one in plain} | {quote_plus(one) for one in plain} | {quote(one) for one in plain}
    )
    encoded |= {quote(one, safe="") for one in encoded}
    escaped = {json.dumps(one)[1:-1] for one in plain} | {json.dumps(json.dumps(one))[3:-3] for one in plain}
    reversed_forms = {one.replace("@", "\\u0040").replace("+", "\\u002b") for one in plain}
    in_base64 = {base64.b64encode(one.encode())[: len(one)].decode().rstrip("=") for one in plain}
    return plain | encoded | escaped | reversed_forms | in_base64


@dataclass(slots=True)
class Watch:
    """The function, its X, and every word that came out."""

    stack: Stack
    x: NastyX
    answers: list[Answer] = field(default_factory=list)

    async def push(self, data: object, **options: object) -> Answer:
        return self.note(await push(self.stack.url, data, **options))

    async def post(self, body: object, headers: dict[str, str] | None = None) -> Answer:
        return self.note(await post(self.stack.url, body, headers))

    def note(self, one: Answer) -> Answer:
        self.answers.append(one)
        return one

    def spoken(self) -> list[str]:
        said = list(self.stack.function.lines)
        for one in self.answers:
            said.append(one.body.decode("utf-8", "replace"))
            said += [f"{name}: {value}" for name, value in one.headers.items()]
        return said

    def check(self) -> None:
        """Hold every line and answer against every form of every secret, and of every signature that went out."""
        secrets = dict(SECRETS)
        for number, received in enumerate(self.x.received):
            authorization = received.headers.get("authorization", "")
            for part in authorization.removeprefix("OAuth ").split(", "):
                name, _, value = part.partition("=")
                if name in {"oauth_signature", "oauth_nonce"}:
                    secrets[f"{name} of request {number}"] = value.strip('"')
        spoken = self.spoken()
        text = "\n".join(spoken)
        lower = text.lower()
        found = {
            what: [line[:300] for line in spoken if form.lower() in line.lower()][:2]
            for what, secret in secrets.items()
            for form in _forms(secret)
            if len(form) > 5 and (form in text or form.lower() in lower)
        }
        assert found == {}
        assert [line for line in self.stack.function.lines if not line.startswith('{"severity":')] == []
        for line in self.stack.function.lines:
            entry = json.loads(line)
            assert isinstance(entry["severity"], str)
            assert isinstance(entry["message"], str)


def _personal(**more: object) -> dict[str, object]:
    return {
        "event_id": "tw-o8z6j-o8z21",
        "conversion_id": new_id(),
        "email": EMAIL,
        "phone": PHONE,
        "ip_address": IP,
        "user_agent": USER_AGENT,
        "twclid": TWCLID,
        "description": f"{EMAIL} {PHONE_NATIONAL}",
        "event_source_url": f"https://shop.example/?twclid={TWCLID}&email={quote(EMAIL)}",
        **more,
    }


def _put_keys(secrets: LocalSecretManager) -> None:
    secrets.put(OAUTH_SECRET, oauth_payload(KEYS))
    secrets.put(TOKEN_SECRET, token_payload(PIXEL_TOKEN))


_LOUD = {
    "GUNICORN_LOG_LEVEL": "debug",
    "GRPC_VERBOSITY": "debug",
    "GRPC_TRACE": "all",
    "GLOG_minloglevel": "0",
    "GOOGLE_SDK_PYTHON_LOGGING_SCOPE": "google",
    "PYTHONASYNCIODEBUG": "1",
    "PYTHONWARNINGS": "default",
    "GUNICORN_CMD_ARGS": "--log-level=debug --access-logfile=-",
}


@pytest.fixture(params=["as deployed", "as loud as can be"])
def watch(request: pytest.FixtureRequest, function_venv: FunctionVenv, tmp_path: Path) -> Iterator[Watch]:
    """Two functions: the deployed one, and one whose libraries were all told to write everything."""
    loud = request.param != "as deployed"
    environment = dict(_LOUD) if loud else {"LOG_EXECUTION_ID": "true"}  # as the platform injects it
    if loud:
        (tmp_path / "main.py").write_text(_LOUD_MAIN)
        environment["REPOSITORY"] = str(repository_root())
    with (
        NastyX() as x,
        running(
            function_venv,
            x_url=x.url,
            prepare=_put_keys,
            source=tmp_path if loud else None,
            extra_environment=environment,
            default_phone_region="DE",
            default_currency="EUR",
            request_timeout_s=1,
            settle_timeout_s=4,
        ) as stack,
    ):
        yield Watch(stack, x)


# Before and after the real main.py is imported, everything that can be told to speak is.
_LOUD_MAIN = textwrap.dedent(
    """
    import http.client, importlib.util, logging, os, sys
    sys.path.insert(0, os.environ["REPOSITORY"])
    def be_loud():
        http.client.HTTPConnection.debuglevel = 1
        logging.getLogger().setLevel(logging.DEBUG)
        for name in ("oauthlib", "requests_oauthlib", "urllib3", "requests", "google", "grpc", "asyncio", "uvicorn",
                     "google.auth", "google.cloud.secretmanager_v1", "google.pubsub_v1", "oauthlib.oauth1.rfc5849"):
            logging.getLogger(name).setLevel(logging.DEBUG)
            logging.getLogger(name).propagate = True
    be_loud()
    spec = importlib.util.spec_from_file_location("function_main", os.environ["REPOSITORY"] + "/main.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    be_loud()
    send_conversions = module.send_conversions
    """
)


def _says(status: int, body: bytes, **headers: str) -> Behaviour:
    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, body, **headers))

    return behave


async def _echoes(received: Received, writer: asyncio.StreamWriter) -> None:
    """X quotes everything it got, wherever it can."""
    wire = received.conversions[0]
    quoted = f"{EMAIL} {PHONE} {json.dumps(wire['identifiers'])} {dict(received.headers)}"
    error = {"code": quoted, "message": f"hashed_email ({_sha256(EMAIL.lower())}) {quoted}", "parameter": quoted}
    writer.write(answer(400, json.dumps({"errors": [error]}).encode(), x_echo=EMAIL))


async def _cuts_off(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 200 {EMAIL}\r\nX-{TWCLID}: {PHONE}\r\nContent-Length: {TWCLID}\r\n\r\n{EMAIL}".encode())
    writer.close()


async def _speaks_no_http(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(f"{EMAIL} {PHONE} {TWCLID}\r\n\r\n".encode())
    writer.close()


async def _hangs(_: Received, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3)


def _everything_in(debug_id: object) -> bytes:
    return json.dumps({"data": {"conversions_processed": 3, "debug_id": debug_id}}).encode()


BEHAVIOURS: dict[str, Behaviour] = {
    "well": well,
    "echo": _echoes,
    "cut off": _cuts_off,
    "no http": _speaks_no_http,
    "hang": _hangs,
    "unauthorized, quoting": _says(401, json.dumps({"errors": [{"code": TWCLID, "message": EMAIL}]}).encode()),
    "html": _says(500, f"<html>{EMAIL}{PHONE}{IP}</html>".encode()),
    "redirect": _says(302, b"", location=f"http://{EMAIL}/?{TWCLID}"),
    "odd headers": _says(503, b"", retry_after=EMAIL, x_rate_limit_reset=PHONE),
    "count and digest": _says(200, _everything_in(_sha256(EMAIL.lower()))),
    "count and phone": _says(200, _everything_in(PHONE[1:])),
    "count and click id": _says(200, _everything_in(TWCLID)),
}


async def test_nothing_leaks_whatever_happens(watch: Watch) -> None:
    token_event = _personal(event_id=None, event="purchase", pixel_id="p9q7k")
    for name, behave in BEHAVIOURS.items():
        watch.x.behave = behave
        await asyncio.gather(
            watch.push(_personal()),
            watch.push({**token_event, "conversion_id": new_id()}),
            watch.push([_personal()] * 2),
        )
        assert watch.x.received, name

    watch.x.behave = well
    for event in _events_with_everything_in_the_wrong_place():
        await watch.push(event)
        await watch.push(json.dumps(event).encode()[:-1])  # no JSON any more
    for body in _bodies_with_everything_in_the_wrong_place():
        await watch.post(body)
        await watch.post(body, {"Content-Type": "application/cloudevents+json"})
    await _strange_requests(watch)

    watch.stack.pubsub.set_down(down=True)
    await watch.push([{"email": EMAIL}])
    watch.stack.pubsub.set_down(down=False)
    # Keys that cannot be read, and whose payload is quoted by nobody.
    for payload in (f"{KEYS.consumer_secret}".encode(), json.dumps({"consumer_key": KEYS.consumer_key}).encode()):
        watch.stack.secrets.put(OAUTH_SECRET, payload)
    watch.x.behave = _says(401, b"")
    await watch.push(_personal())

    watch.x.behave = _hangs
    flying = asyncio.create_task(watch.push(_personal()))
    await asyncio.sleep(0.3)
    watch.stack.function.send(signal.SIGTERM)
    await flying
    for _ in range(100):
        if watch.stack.function.exit_code is not None:
            break
        await asyncio.sleep(0.1)
    assert len(watch.stack.function.lines) > 100
    watch.check()


def _events_with_everything_in_the_wrong_place() -> Iterator[dict[str, object]]:
    everything = f"{EMAIL}|{PHONE}|{IP}|{USER_AGENT}|{TWCLID}"
    for name in (
        "event_id",
        "event",
        "event_name",
        "conversion_time",
        "pixel_id",
        "value",
        "currency",
        "conversion_id",
        "contents",
        "consent",
        "identifiers",
        "user",
        "number_items",
        "hashed_email",
    ):
        yield _personal(**{name: everything})
        yield _personal(**{name: {everything: [everything]}})
    yield {EMAIL: PHONE, TWCLID: 1}
    yield {"events": [], "conversions": [], EMAIL: 1}
    yield _personal(event_id="tw-p9q7k-p9q31")


def _bodies_with_everything_in_the_wrong_place() -> Iterator[object]:
    everything = f"{EMAIL}|{PHONE}|{IP}|{USER_AGENT}|{TWCLID}"
    yield f"{everything}".encode()
    yield {"message": everything}
    yield {everything: 1}
    yield {"message": {"data": everything}}
    yield {"message": {"attributes": {everything: 5}}}
    yield {"message": {"attributes": {EMAIL: PHONE, "pixel_id": EMAIL, "format": TWCLID}, "data": "e30="}}
    yield {
        "message": {"publishTime": everything, "orderingKey": everything, "data": "e30="},
        "subscription": everything,
    }
    yield {"message": {"messageId": 5}, "deliveryAttempt": everything}
    yield {"data": envelope(_personal())}


async def _strange_requests(watch: Watch) -> None:
    """Send what a browser, a scanner or a mistake sends: the server's own words count too."""
    url = watch.stack.url
    query = f"?email={quote(EMAIL)}&twclid={TWCLID}"
    headers = {
        "User-Agent": USER_AGENT,
        "X-Forwarded-For": IP,
        "Cookie": TWCLID,
        "Authorization": f"Bearer {PIXEL_TOKEN}",
    }
    for method in ("GET", "POST", "PUT", "TRACE", "BREW"):
        watch.note(await request(f"{url}{quote(EMAIL)}/{TWCLID}", method, b"x", headers))
    for line in (
        f"GET /{query} HTTP/1.1\r\nHost: x\r\nUser-Agent: {USER_AGENT}\r\n\r\n",
        f"GET /{TWCLID} HTTP/9.9\r\n{EMAIL}\r\n\r\n",
        f"{EMAIL} {PHONE}\r\n\r\n",
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {PHONE}\r\n\r\n{EMAIL}",
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{EMAIL}",
        f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{EMAIL}\r\n",
        f"GET /{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", watch.stack.function.port)
        writer.write(line.encode())
        try:
            async with asyncio.timeout(0.5):
                watch.note(Answer(0, await reader.read(100_000), 0.0))
        except (TimeoutError, OSError):
            pass
        writer.close()


async def test_a_crash_inside_tells_no_text(function_venv: FunctionVenv, tmp_path: Path) -> None:
    """Bugs quote what they choke on: here in reading, in sending, in a thread, in a log call, in a print."""
    (tmp_path / "main.py").write_text(_CRASHING_MAIN)
    with (
        NastyX() as x,
        running(
            function_venv,
            x_url=x.url,
            prepare=_put_keys,
            source=tmp_path,
            extra_environment={**_LOUD, "REPOSITORY": str(repository_root())},
        ) as stack,
    ):
        watch = Watch(stack, x)
        crashed = [await watch.push(_personal(conversion_id=f"crash {where}")) for where in ("reading", "sending", "x")]
        await watch.push(_personal())
        assert [one.status for one in crashed] == [500, 503, 503]
        assert crashed[0].reason == "internal_error"
        for name in ("delivery.crashed", "batcher.crashed", "process.output", "library.log", "thread.crashed"):
            assert stack.events_logged(name)
        watch.check()


_CRASHING_MAIN = textwrap.dedent(
    f"""
    import importlib.util, logging, os, sys, threading
    sys.path.insert(0, os.environ["REPOSITORY"])
    from xcapi_core.events import reading
    from xcapi_core.adapters import x_session
    SECRETS = {[value for what, value in SECRETS.items() if "part" not in what]!r}
    def crash(*things):
        print("printed", SECRETS, *things)
        print("printed", *SECRETS, file=sys.stderr)
        logging.getLogger("some.library").error("logged %s %r", SECRETS, things)
        try:
            int(SECRETS[0])
        except ValueError:
            logging.getLogger("other.library").exception("caught %s", SECRETS[3])
        thread = threading.Thread(target=lambda: int(" ".join(SECRETS)))
        thread.start()
        thread.join()
        raise RuntimeError(f"{{SECRETS}} {{things}}")
    def when(where, function):
        def wrapped(*args, **kwargs):
            if b"crash " + where in repr_of(args):
                crash(args)
            return function(*args, **kwargs)
        return wrapped
    def repr_of(args):
        parts = []
        for value in args:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                parts += [repr(one).encode(), getattr(one, "wire", b"") or getattr(one, "body", b"")]
        return b" ".join(part for part in parts if isinstance(part, bytes))
    reading.read_for_pixel = when(b"reading", reading.read_for_pixel)
    x_session.XSession._post = when(b"x", x_session.XSession._post)
    from xcapi_core.x_api import client
    client.build_request = (lambda build: lambda **kw: (
        crash(kw) if any(b"crash sending" in one.wire for one in kw["conversions"]) else build(**kw)))(
        client.build_request)
    spec = importlib.util.spec_from_file_location("function_main", os.environ["REPOSITORY"] + "/main.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    send_conversions = module.send_conversions
    """
)


async def test_the_check_itself_finds_what_leaks() -> None:
    for form in (EMAIL.upper(), quote(EMAIL, safe=""), quote(quote(EMAIL, safe=""), safe=""), json.dumps(USER_AGENT)):
        assert any(one in form for one in _forms(EMAIL) | _forms(USER_AGENT))
