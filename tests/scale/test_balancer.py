"""The balancer passes requests to the instance that has the fewest, and none to one that was removed."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.scale.balancer import Balancer


class Instance(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard += 1  # type: ignore[attr-defined]  # ours, below
        self.send_response(204 if body == b"{}" else 429)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    heard = 0


@pytest.fixture(name="instances")
def two() -> Iterator[list[Server]]:
    servers = [Server(("127.0.0.1", 0), Instance) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def test_requests_are_shared_and_none_goes_to_an_instance_that_was_removed(instances: list[Server]) -> None:
    with Balancer() as balancer:
        urls = [f"http://127.0.0.1:{server.server_port}/" for server in instances]
        for url in urls:
            balancer.add(url)
        endpoint = f"http://127.0.0.1:{balancer.port}/"
        with requests.Session() as session:
            assert [session.post(endpoint, data=b"{}", timeout=60).status_code for _ in range(10)] == [204] * 10
            assert [server.heard for server in instances] == [5, 5]
            balancer.remove(urls[0])
            assert [session.post(endpoint, data=b"[]", timeout=60).status_code for _ in range(4)] == [429] * 4
            assert [server.heard for server in instances] == [5, 9]
            balancer.remove(urls[1])
            assert session.post(endpoint, data=b"{}", timeout=60).status_code == 503


def test_an_instance_that_does_not_answer_is_a_502(instances: list[Server]) -> None:
    gone = f"http://127.0.0.1:{instances[0].server_port}/"
    instances[0].shutdown()
    instances[0].server_close()
    with Balancer() as balancer:
        balancer.add(gone)
        answer = requests.post(f"http://127.0.0.1:{balancer.port}/", data=b"{}", timeout=60)
        assert answer.status_code == 502
        assert balancer.unanswered == 1
