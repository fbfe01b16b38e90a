"""What a signed POST in a thread with a watchdog costs, beside a bare one."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from requests_oauthlib import OAuth1

from tests.benchmarks.details.measuring import detail, medians_s
from tests.benchmarks.results import Result, Table
from tests.benchmarks.running import Run
from tests.fakes import conversion, ok
from xcapi_core.adapters.x_session import XSession
from xcapi_core.x_api.credentials import OAuth1Keys
from xcapi_core.x_api.protocol import HttpRequest, TransportFailure, build_request

__all__ = ["measure"]

POSTS = 100
CONVERSIONS = 100
KEYS = OAuth1Keys(consumer_key="ck", consumer_secret="cs", access_token="at", access_token_secret="ats")


def measure(_run: Run) -> list[Result]:
    """Compare one post after the other, each way, in turn."""
    with _server() as url:
        request = build_request(
            api_base_url=url,
            api_version="12",
            pixel_id="o8z6j",
            conversions=[conversion(f"c{number}", twclid=f"click-{number}") for number in range(CONVERSIONS)],
        )
        medians = _in_turn(request)
    bare = medians["requests.post"]
    table = Table(
        title=f"One POST of {CONVERSIONS} conversions to loopback",
        columns=("", "ms", "× requests.post"),
        rows=[(name, f"{taken * 1e3:.2f}", f"{taken / bare:.2f}") for name, taken in medians.items()],
    )
    times = medians["XSession (signed, in a thread, watched)"] / bare
    return detail(table, f"{times:.2f} × requests.post", times_requests_post=times)


def _in_turn(request: HttpRequest) -> dict[str, float]:
    loop = asyncio.new_event_loop()
    ours = XSession(max_in_flight=4)
    kept_alive, signed = requests.Session(), requests.Session()
    signer = OAuth1(KEYS.consumer_key, KEYS.consumer_secret, KEYS.access_token, KEYS.access_token_secret)

    def post(post: Callable[..., requests.Response], auth: OAuth1 | None = None) -> None:
        post(request.url, data=request.body, headers=request.headers, auth=auth, timeout=10).raise_for_status()

    def x_session() -> None:
        answer = loop.run_until_complete(ours.post(request, KEYS, 10))
        if isinstance(answer, TransportFailure):
            raise ConnectionError(answer.kind)

    try:
        return medians_s(
            {
                "requests.post": lambda: post(requests.post),
                "requests.Session": lambda: post(kept_alive.post),
                "requests.Session, signed": lambda: post(signed.post, signer),
                "XSession (signed, in a thread, watched)": x_session,
            },
            rounds=POSTS,
        )
    finally:
        loop.close()


@contextmanager
def _server() -> Iterator[str]:
    answer = ok(CONVERSIONS).body

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one write: without it, Nagle's algorithm waits 40 ms between them
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
