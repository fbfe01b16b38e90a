"""The page's snippet of docs/x-setup.md in a real browser: kept with consent only, handed to forms, forgotten again."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium import webdriver

from tests.sandbox.console.conftest import chromium, running_browser

__all__ = ["chromium", "running_browser"]

PAGE = Path(__file__).parent.parent / "docs" / "x-setup.md"
CLICK_ID = "23opevjt88psuo13lu8d020qkn"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve a page with the snippet and a form; return its address."""
    snippet = PAGE.read_text(encoding="utf-8").partition("```html\n")[2].partition("```")[0]
    form = '<form><input type="hidden" name="twclid"></form>'
    (tmp_path / "index.html").write_text(f"<!doctype html><title>shop</title>{form}{snippet}", encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def keep(chromium: webdriver.Chrome, *, agreed: bool) -> tuple[str, str, str]:
    """Call the snippet; return what it gives, what the form holds, and the page's cookies."""
    chromium.execute_script(f"window.given = keepXClickId({str(agreed).lower()})")
    script = "return [window.given, document.querySelector('input').value, document.cookie]"
    given, field, cookies = chromium.execute_script(script)
    return given, field, cookies


def test_click_id_is_kept_until_the_order_and_only_with_consent(chromium: webdriver.Chrome, site: str) -> None:
    chromium.get(f"{site}?utm_source=x&twclid={CLICK_ID}")
    assert CLICK_ID not in chromium.execute_script("return document.cookie")
    assert keep(chromium, agreed=True) == (CLICK_ID, CLICK_ID, f"x_click_id={CLICK_ID}")
    chromium.get(f"{site}?page=order")
    assert keep(chromium, agreed=True)[:2] == (CLICK_ID, CLICK_ID)
    assert keep(chromium, agreed=False)[2] == ""
    chromium.get(site)
    assert keep(chromium, agreed=True)[0] == ""


def test_what_is_no_click_id_is_not_kept(chromium: webdriver.Chrome, site: str) -> None:
    chromium.get(f"{site}?twclid=%3Cscript%3E%3B%20Domain%3D")
    assert keep(chromium, agreed=True) == ("", "", "")
