"""The console in a real browser: what a person sees, clicks, types and hears."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import requests
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.sandbox.client import conversion, post
from tests.sandbox.console.axe import axe_source, serious_findings
from tests.sandbox.console.chromium import browser, missing, resize, severe
from tests.services import unavailable
from xcapi_core.sandbox.console.entries import Entry
from xcapi_core.sandbox.server import SandboxServer

pytestmark = pytest.mark.e2e

EMAIL = "jane.doe@example.com"
ATTACK = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\'"&lt;'


class Page:
    """The console's page, and what a person does on it."""

    def __init__(self, driver: webdriver.Chrome, server: SandboxServer) -> None:
        self.driver = driver
        self.server = server
        driver.get(server.url)
        self.until(lambda: self.text("#connection") == "live")

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return an element's text at once: the page may put another in its place at any time."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.driver.execute_script(script, selector)).strip()

    def rows(self) -> list[str]:
        """Return the text of each row at once: asking row by row would race with the stream."""
        found = self.driver.execute_script(
            "return [...document.querySelectorAll('#list .row')].map((r) => r.innerText)"
        )
        return [" ".join(text.split()) for text in found]

    def shows(self, count: int) -> bool:
        return len(self.rows()) == count

    def until(self, holds: Callable[[], Any]) -> None:
        passing = [StaleElementReferenceException]
        WebDriverWait(self.driver, 60, 0.05, passing).until(lambda _: holds())

    def open(self, row: int = 0) -> str:
        self.driver.find_elements(By.CSS_SELECTOR, "#list .row")[row].click()
        self.until(lambda: self.find("#details").is_displayed())
        return self.text("#details")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def end_count(self, verdict: str) -> str:
        return self.text(f".end[data-verdict={verdict}] strong")


@pytest.fixture
def page(chromium: webdriver.Chrome, server: SandboxServer) -> Iterator[Page]:
    shown = Page(chromium, server)
    yield shown
    assert severe(chromium) == []


@contextmanager
def hostile_event(server: SandboxServer) -> Iterator[None]:
    """Put markup wherever an event, X or the sandbox has text."""
    hostile = conversion(
        **dict.fromkeys(("event_id", "conversion_id", "description", "search_string", "value", ATTACK), ATTACK),
        conversion_time=ATTACK,
        contents=[{"content_name": ATTACK, ATTACK: ATTACK}],
        identifiers=[{"twclid": ATTACK, "hashed_email": ATTACK, ATTACK: ATTACK}],
    )
    post(server, hostile)
    server.inject({"status": 503, "message": ATTACK, "code": ATTACK, "times": 1})
    post(server, conversion(conversion_id="later"))
    feed = server.feed
    entry = Entry(
        entry_id=feed.next_id(),
        received_at=1.0,
        pixel_id=ATTACK,
        name=ATTACK,
        conversion_id=ATTACK,
        verdict="dead_lettered",
        dialect=ATTACK,
        reason=ATTACK,
        detail=ATTACK,
        message=json.dumps({ATTACK: ATTACK}).encode(),
        dropped=(ATTACK,),
        unread=(ATTACK,),
    )
    feed.add(entry)
    yield


def test_events_appear_as_they_come_newest_on_top(page: Page) -> None:
    assert "Waiting for events" in page.text("#empty")
    post(page.server, conversion(conversion_id="order-1"))
    page.until(lambda: len(page.rows()) == 1)
    post(page.server, conversion(conversion_id="order-2", event_id="zzzzz"))
    page.until(lambda: len(page.rows()) == 2)
    newest, oldest = page.rows()
    assert "Refused zzzzz NOT_FOUND event_id X o8z6j order-2" in newest
    assert "Delivered purchase X o8z6j order-1" in oldest
    assert (page.end_count("delivered"), page.end_count("refused")) == ("1", "1")
    assert "100 %" in page.text("#keys")


def test_page_says_how_many_requests_it_has_missed(chromium: webdriver.Chrome, server: SandboxServer) -> None:
    server.feed._keep_unread_bytes = 1
    for number in range(3):
        post(server, conversion(conversion_id=f"order-{number}"))
    page = Page(chromium, server)
    page.until(lambda: len(page.rows()) == 1)
    assert page.text("#missed") == "Without 2 requests from before anybody looked."


def test_row_changes_its_verdict_when_the_event_is_sent_again(page: Page) -> None:
    page.server.inject({"status": 503, "times": 1})
    post(page.server, conversion())
    page.until(lambda: page.rows() and "Deferred" in page.rows()[0])
    post(page.server, conversion())
    page.until(lambda: "Delivered" in page.rows()[0])
    assert len(page.rows()) == 1


def test_details_show_all_of_it_and_mask_identifiers_until_revealed(page: Page) -> None:
    post(page.server, conversion(identifiers=[{"hashed_email": EMAIL}]))
    page.until(page.rows)
    shown = page.open()
    for part in (
        "What to do",
        "X's words about it",
        "Conversion",
        "Request",
        "POST /12/measurement",
        'oauth_signature="***"',
    ):
        assert part in shown
    assert "hashed_email (jane…) is not a valid SHA-256 hash" in shown
    assert EMAIL not in page.driver.page_source
    page.find("#reveal").click()
    page.until(lambda: EMAIL in page.text("#details"))
    page.find("#reveal").click()
    page.until(lambda: EMAIL not in page.text("#details"))


def test_filters_by_verdict_pixel_and_text(page: Page) -> None:
    post(page.server, conversion(conversion_id="order-1"))
    post(page.server, conversion(conversion_id="order-2", event_id="zzzzz"))
    post(page.server, conversion(conversion_id="order-3", event_id="p9q31"), pixel_id="p9q7k")
    page.until(lambda: len(page.rows()) == 3)
    Select(page.find("#verdict")).select_by_visible_text("Refused")
    page.until(lambda: len(page.rows()) == 1)
    assert "order-2" in page.rows()[0]
    Select(page.find("#verdict")).select_by_index(0)
    Select(page.find("#pixel")).select_by_visible_text("p9q7k")
    page.until(lambda: len(page.rows()) == 1)
    assert "order-3" in page.rows()[0]
    Select(page.find("#pixel")).select_by_index(0)
    page.find("#text").send_keys("ORDER-1")
    page.until(lambda: len(page.rows()) == 1)
    assert page.text("#shown") == "1 of 3"
    page.find("#text").send_keys("-nobody")
    page.until(lambda: page.text("#shown") == "none of 3 fits the filter")


def test_pause_holds_the_list_still_and_clear_empties_it(page: Page) -> None:
    post(page.server, conversion(conversion_id="order-1"))
    page.until(page.rows)
    page.find("#pause").click()
    post(page.server, conversion(conversion_id="order-2"))
    page.until(lambda: page.text("#pause") == "Resume (1 new)")
    assert len(page.rows()) == 1
    page.find("#pause").click()
    page.until(lambda: len(page.rows()) == 2)
    page.find("#clear").click()
    page.until(lambda: page.rows() == [])
    page.driver.refresh()
    page.until(lambda: page.find("#empty").is_displayed())


def test_pause_holds_also_while_it_is_filtered_and_what_is_cleared_is_gone_at_once(page: Page) -> None:
    post(page.server, conversion(conversion_id="order-1"))
    page.until(page.rows)
    page.find("#pause").click()
    post(page.server, conversion(conversion_id="order-2"))
    page.until(lambda: page.text("#pause") == "Resume (1 new)")
    page.find("#text").send_keys("order")
    page.until(lambda: page.text("#shown") == "1")
    assert len(page.rows()) == 1
    page.find("#clear").click()
    page.until(lambda: page.rows() == [])
    assert page.find("#empty").is_displayed()
    post(page.server, conversion(conversion_id="order-3"))
    page.until(lambda: page.text("#pause") == "Resume (1 new)")
    assert page.rows() == []
    page.find("#pause").click()
    page.until(lambda: len(page.rows()) == 1)
    assert "order-3" in page.rows()[0]


def test_two_tabs_show_the_same_and_what_one_clears_is_gone_in_the_other(page: Page) -> None:
    post(page.server, conversion(conversion_id="order-1"))
    page.until(page.rows)
    page.open()
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        second = Page(page.driver, page.server)
        second.until(lambda: len(second.rows()) == 1)
        second.find("#clear").click()
        second.until(lambda: second.rows() == [])
        post(page.server, conversion(conversion_id="order-2"))
        second.until(lambda: len(second.rows()) == 1)
        page.driver.close()
    finally:
        page.driver.switch_to.window(first)
    page.until(lambda: len(page.rows()) == 1)
    assert "order-2" in page.rows()[0]
    assert not page.find("#details").is_displayed()


def test_more_tabs_than_a_browser_has_connections_to_a_host_all_follow(page: Page) -> None:
    """Chromium opens six connections to a host, and a stream of events keeps one: the seventh page would wait."""
    post(page.server, conversion(conversion_id="order-1"))
    first = page.driver.current_window_handle
    pages = {first: page}
    try:
        for _ in range(7):
            page.driver.switch_to.new_window("tab")
            pages[page.driver.current_window_handle] = Page(page.driver, page.server)
        post(page.server, conversion(conversion_id="order-2"))
        for handle, shown in pages.items():
            page.driver.switch_to.window(handle)
            shown.until(partial(shown.shows, 2))
            assert "order-2" in shown.open()
            assert shown.text("#connection") == "live"
    finally:
        for handle in {*page.driver.window_handles} - {first}:
            page.driver.switch_to.window(handle)
            page.driver.close()
        page.driver.switch_to.window(first)


def test_list_and_event_are_copied_as_json(page: Page) -> None:
    permission = {"permission": {"name": "clipboard-write"}, "setting": "granted", "origin": page.server.url}
    page.driver.execute_cdp_cmd("Browser.setPermission", permission)
    page.driver.execute_script(
        "navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); };"
        # It is shown for a moment, in which a busy machine does not look.
        "window.said = []; const hear = (all) => all.forEach(({target}) => said.push([target.id, target.textContent]));"
        "new MutationObserver(hear).observe(document.body, {childList: true, subtree: true});"
    )
    post(page.server, conversion(conversion_id="order-1"))
    page.until(page.rows)
    page.find("#copy").click()
    page.until(lambda: ["copy", "Copied"] in page.driver.execute_script("return said"))
    assert [row["conversion_id"] for row in json.loads(page.driver.execute_script("return copied"))] == ["order-1"]
    page.open()
    page.find("#copy-event").click()
    page.until(lambda: ["copy-event", "Copied"] in page.driver.execute_script("return said"))
    assert json.loads(page.driver.execute_script("return copied"))["conversion"]["conversion_id"] == "order-1"


def test_markup_in_every_field_is_shown_as_text(chromium: webdriver.Chrome, server: SandboxServer) -> None:
    with hostile_event(server):
        page = Page(chromium, server)
        page.until(lambda: len(page.rows()) == 3)
        for row in range(3):
            page.open(row)
            page.find("#reveal").click()
            page.until(lambda: "Mask identifiers" in page.text("#details"))
            assert ATTACK in page.text("#details")
            page.find("#close").click()
        assert ATTACK in "".join(page.rows())
    assert chromium.execute_script("return window.hacked") is None
    assert not chromium.execute_script("return document.querySelectorAll('main img, main script').length")


def test_page_takes_no_inline_script_or_style_no_html_and_no_other_host(page: Page) -> None:
    run = page.driver.execute_script
    for attempt in ("document.createElement('script').textContent = '1'", "document.body.innerHTML = '<b>'"):
        assert run(f"try {{ {attempt}; return 'taken' }} catch {{ return 'refused' }}") == "refused", attempt
    run("document.body.setAttribute('style', 'color: rgb(1, 2, 3)')")
    assert run("return getComputedStyle(document.body).color") != "rgb(1, 2, 3)"
    asked = "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('sent'), () => done('refused'))"
    assert page.driver.execute_async_script(asked) == "refused"
    assert severe(page.driver)


def test_keyboard_alone_suffices(page: Page) -> None:
    post(page.server, *[conversion(conversion_id=f"order-{number}") for number in range(3)])
    page.until(lambda: len(page.rows()) == 3)
    reached = []
    for _ in range(30):
        page.press(Keys.TAB)
        active = page.driver.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("class"))
        if reached[-1] == "row":
            break
    assert {"theme", "text", "verdict", "pixel", "pause", "copy", "clear"} <= set(reached)
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert "order-1" in page.driver.switch_to.active_element.text
    page.press(Keys.ENTER)
    page.until(lambda: page.find("#details").is_displayed())
    page.until(lambda: page.driver.switch_to.active_element.get_attribute("id") == "details-title")
    page.press(Keys.TAB)
    assert page.driver.switch_to.active_element.get_attribute("id") == "reveal"
    page.press(Keys.SPACE)
    page.until(lambda: page.text("#reveal") == "Mask identifiers")
    assert page.driver.switch_to.active_element.get_attribute("id") == "reveal"
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.find("#details").is_displayed())
    assert "order-1" in page.driver.switch_to.active_element.text


def test_focus_stays_where_it_is_while_events_come(page: Page) -> None:
    post(page.server, conversion(conversion_id="order-1"))
    page.until(page.rows)
    page.open()
    page.press(Keys.ESCAPE)
    post(page.server, conversion(conversion_id="order-2"))
    page.until(lambda: len(page.rows()) == 2)
    assert "order-1" in page.driver.switch_to.active_element.text
    page.until(lambda: "in all" in (page.find("#status").get_attribute("textContent") or ""))


def test_switches_set_the_sandboxs_faults_and_keep_those_of_others(page: Page) -> None:
    page.server.inject({"status": 500, "times": 100, "pixel_id": "p9q7k"})
    page.until(lambda: "p9q7k" in (page.find("#other-faults").get_attribute("textContent") or ""))
    page.find(".faults summary").click()

    def faults() -> list[dict[str, object]]:
        found = requests.get(f"{page.server.url}/sandbox/faults", timeout=60).json()["faults"]
        return [{name: value for name, value in fault.items() if name not in ("fired", "active")} for fault in found]

    other = {"status": 500, "times": 100, "pixel_id": "p9q7k"}
    wanted = {
        "fault-429": {"status": 429, "reset_in_s": 20},
        "fault-503": {"status": 503},
        "fault-timeout": {"latency_s": 30},
        "fault-drop": {"drop": "before"},
        "fault-refuse": {"refuse": {"all": True}, "rate": 0.2},
    }
    for switch, fault in wanted.items():
        page.find(f"#{switch}").send_keys(Keys.SPACE)
        page.until(partial(lambda wanted: faults() == wanted, [other, fault]))
        page.until(lambda: page.find("#misbehaving").is_displayed())
        page.find(f"#{switch}").click()
        page.until(lambda: faults() == [other])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious(server: SandboxServer, width: int, dark: bool) -> None:  # noqa: FBT001  pytest's
    if lacking := missing():
        unavailable(lacking)
    source = axe_source()
    if source is None:
        unavailable("npm cannot bring axe-core")
    post(server, conversion(), conversion(conversion_id="b", event_id="zzzzz"))
    server.inject({"status": 429, "reset_in_s": 20, "times": 1})
    post(server, conversion(conversion_id="c"))
    with browser(width=width, dark=dark) as driver:
        page = Page(driver, server)
        page.until(lambda: len(page.rows()) == 3)
        page.find(".faults summary").click()
        assert serious_findings(driver, source) == []
        page.open(1)
        assert serious_findings(driver, source) == []


@pytest.mark.parametrize("width", [360, 768, 1280, 2560])
def test_nothing_sticks_out_at_any_width(page: Page, width: int) -> None:
    post(page.server, conversion(conversion_id="x" * 150, event_id="y" * 150))
    page.until(page.rows)
    resize(page.driver, width, 800)
    sticks_out = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert page.driver.execute_script(sticks_out) is False
    page.open()
    assert page.driver.execute_script(sticks_out) is False


def test_two_thousand_events_are_counted_listed_and_found(page: Page) -> None:
    for part in range(4):
        post(page.server, *[conversion(conversion_id=f"order-{part}-{number}") for number in range(500)])
    page.until(lambda: page.end_count("delivered") == "2,000")
    assert page.text("#shown") == "2,000, the newest 200 shown"
    page.find("#text").send_keys("order-0-123")
    page.until(lambda: len(page.rows()) == 1)
    assert "order-0-123" in page.open()
    page.find("#text").clear()
    page.find("#text").send_keys(" ")
    page.until(lambda: len(page.rows()) == 200)
    page.press(Keys.ESCAPE)
    page.find("#more").click()
    page.until(lambda: len(page.rows()) == 400)


def test_console_reconnects_to_a_sandbox_that_was_started_anew(chromium: webdriver.Chrome) -> None:
    with SandboxServer() as first:
        page = Page(chromium, first)
        post(first, conversion(conversion_id="before"))
        page.until(page.rows)
    page.until(lambda: page.text("#connection") == "reconnecting")
    with SandboxServer(port=first.port) as second:
        post(second, conversion(conversion_id="after"))
        page.until(lambda: page.text("#connection") == "live" and len(page.rows()) == 1)
        assert "after" in page.rows()[0]
