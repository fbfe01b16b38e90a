"""Only this machine's programs and the console's own page reach the console and the control routes."""

import http.client
from collections.abc import Mapping

import pytest
import requests
from starlette.requests import Request

from xcapi_core.sandbox.console.guard import refusal
from xcapi_core.sandbox.server import SandboxServer

GUARDED = (
    ("GET", "/"),
    ("GET", "/console/console.js"),
    ("GET", "/console/stream"),
    ("GET", "/console/events/1"),
    ("DELETE", "/console/events"),
    ("GET", "/sandbox/conversions"),
    ("DELETE", "/sandbox/conversions"),
    ("GET", "/sandbox/faults"),
    ("POST", "/sandbox/faults"),
    ("PUT", "/sandbox/faults"),
    ("DELETE", "/sandbox/faults"),
    ("PUT", "/sandbox/keys"),
)


def ask(sandbox: SandboxServer, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Send exactly these headers, which requests would not let us."""
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = "" if answer.status == 200 and path.endswith("stream") else answer.read().decode()
    connection.close()
    return answer.status, body


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_rebound_name_and_a_page_of_another_site_reach_no_route(
    sandbox: SandboxServer, method: str, path: str
) -> None:
    own = f"127.0.0.1:{sandbox.port}"
    rebound = ask(sandbox, method, path, {"Host": f"evil.example:{sandbox.port}"})
    foreign = ask(sandbox, method, path, {"Host": own, "Origin": "https://evil.example"})
    assert (rebound[0], foreign[0]) == (403, 403)
    assert "Host header" in rebound[1]
    assert "Origin header" in foreign[1]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8089",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "evil.example/127.0.0.1",
        "localhost:port",
        "203.0.113.7:8089",
        "0.0.0.0:8089",
        "[2001:db8::1]:8089",
        "",
    ],
)
def test_host_of_another_name_is_refused(sandbox: SandboxServer, host: str) -> None:
    assert ask(sandbox, "GET", "/sandbox/faults", {"Host": host})[0] in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:{port}", "[::1]:{port}", "127.0.0.2:{port}", "LOCALHOST"])
def test_every_name_of_loopback_is_taken(sandbox: SandboxServer, host: str) -> None:
    assert ask(sandbox, "GET", "/sandbox/faults", {"Host": host.format(port=sandbox.port)})[0] == 200


@pytest.mark.parametrize("origin", ["null", "https://127.0.0.1:{port}", "http://127.0.0.1", "http://localhost:{port}"])
def test_origin_must_be_the_very_one(sandbox: SandboxServer, origin: str) -> None:
    headers = {"Host": f"127.0.0.1:{sandbox.port}", "Origin": origin.format(port=sandbox.port)}
    assert ask(sandbox, "DELETE", "/sandbox/faults", headers)[0] == 403


def test_own_page_may(sandbox: SandboxServer) -> None:
    own = f"127.0.0.1:{sandbox.port}"
    headers = {"Host": own, "Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    assert ask(sandbox, "DELETE", "/sandbox/faults", headers)[0] == 204


@pytest.mark.parametrize(
    ("mode", "site", "status"),
    [("no-cors", "cross-site", 403), ("no-cors", "same-site", 403), ("navigate", "cross-site", 200)],
)
def test_page_of_another_site_may_link_here_and_embed_nothing(
    sandbox: SandboxServer, mode: str, site: str, status: int
) -> None:
    headers = {"Host": f"localhost:{sandbox.port}", "Sec-Fetch-Mode": mode, "Sec-Fetch-Site": site}
    assert ask(sandbox, "GET", "/", headers)[0] == status


def test_two_hosts_are_one_too_many(sandbox: SandboxServer) -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", sandbox.port),
        "headers": [(b"host", b"127.0.0.1"), (b"host", b"evil.example")],
    }
    assert refusal(Request(scope)) is not None


@pytest.mark.parametrize(("address", "reached"), [("203.0.113.7", False), ("10.0.0.4", False), ("::1", True)])
def test_another_machine_is_refused_whatever_it_says(address: str, reached: bool) -> None:  # noqa: FBT001  pytest's
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "client": (address, 1),
        "server": ("0.0.0.0", 8089),
        "headers": [(b"host", b"localhost:8089")],
    }
    assert (refusal(Request(scope)) is None) is reached


def test_every_answer_forbids_what_is_foreign_and_what_is_inline(sandbox: SandboxServer) -> None:
    for path in ("/", "/console/console.css", "/sandbox/faults", "/console/events/1", "/console/nothing.js"):
        answer = requests.get(sandbox.url + path, timeout=60)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/console/../app.py", "/console/%2e%2e%2fapp.py", "/console/..%5capp.py", "/console/x"]
)
def test_only_the_pages_own_files_are_served(sandbox: SandboxServer, path: str) -> None:
    assert ask(sandbox, "GET", path, {"Host": "localhost"})[0] == 404


def test_page_names_nothing_of_the_network(sandbox: SandboxServer) -> None:
    page = requests.get(sandbox.url, timeout=60)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "http" not in page.text.replace("http-equiv", "")
    assert "<style" not in page.text
    assert "onclick" not in page.text
