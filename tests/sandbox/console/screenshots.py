"""Makes the console's pictures for README and docs: `make screenshots`. What is on them is a real `xcapi dev` at work.

With the font Inter on the machine (Debian: fonts-inter) they look as they do in the repository.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.sandbox.console.chromium import browser, missing
from xcapi_core.sandbox.services.checkout import repository_root
from xcapi_core.sandbox.services.ports import free_port

_FOLDER: Final = repository_root() / "docs" / "img"
_SIZE: Final = (1240, 800)
_CONFIGURATION: Final = {
    "dead_letter_topic": "file:dead-letters.jsonl",
    "pixels": {
        "o8z6j": {
            "credentials": "env:X_KEYS",
            "event_ids": {"purchase": "tw-o8z6j-o8z21", "sign_up": "tw-o8z6j-o8z22", "Order Completed": "o8z21"},
        }
    },
}
_TWCLID: Final = "23opevjt88psuo13lu8d020qkn"


def _events() -> list[object]:
    """Return a shop's morning: four dialects, and everything that can be wrong with an event."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    keys: tuple[dict[str, object], ...] = (
        {"email": "ada@example.com", "twclid": _TWCLID},
        {"email": "grace@example.com", "phone": "+1 202 555 0143"},
        {"twclid": _TWCLID},
    )
    sold = [
        {
            "event": "purchase",
            "conversion_id": f"order-{1001 + number}",
            "time": now,
            "value": 20 + number,
            "currency": "EUR",
            **keys[number % 3],
        }
        for number in range(15)
    ]
    ga4 = {"name": "purchase", "params": {"transaction_id": "ga4-77", "value": 129.9, "currency": "EUR"}}
    person = {"sha256_email_address": ["b5fc85e55755f9e0d030a10ab4429b6b2944855f5a0d60077fe832becbf37d72"]}
    call = {
        "type": "track",
        "event": "Order Completed",
        "messageId": "ajs-1",
        "timestamp": now,
        "properties": {"order_id": "segment-31", "revenue": 59, "currency": "EUR"},
        "context": {"traits": {"email": "ada@example.com"}},
    }
    return [
        *sold,
        {"client_id": "1.2", "user_data": person, "events": [ga4]},
        call,
        {"event": "sign_up", "conversion_id": "sign-up-12", "email": "ada@example.com", "consent": False},
        {"event": "sign_up", "conversion_id": "sign-up-13", "emial": "ada@example.com"},
        {"event": "purchase", "conversion_id": "order-1016", "email": "ada@example.com", "value": "20.00"},
        {"event_id": "tw-o8z6j-o8z99", "conversion_id": "order-1017", "email": "grace@example.com", "time": now},
    ]


@contextmanager
def _session() -> Iterator[str]:
    """Run `xcapi dev` until it has sent everything; give the console's address."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(_CONFIGURATION), encoding="utf-8")
        (folder / "events.jsonl").write_text("".join(f"{json.dumps(e)}\n" for e in _events()), encoding="utf-8")
        port = free_port()
        options = ["--config", "config.json", "--json", "--port", str(port), "events.jsonl"]
        process = subprocess.Popen(
            [sys.executable, "-m", "xcapi_core", "dev", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(repository_root())},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout
            for line in process.stdout:
                if "summary" in json.loads(line):
                    break
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(30)


def _open(driver: webdriver.Chrome, url: str) -> None:
    driver.get(url)
    WebDriverWait(driver, 20).until(lambda _: driver.find_elements(By.CSS_SELECTOR, "#list .row"))
    time.sleep(0.5)  # bars move to their length


def _open_rejected(driver: webdriver.Chrome) -> None:
    rows: list[Any] = driver.find_elements(By.CSS_SELECTOR, "#list .row")
    next(row for row in rows if "rejected" in row.text).click()
    WebDriverWait(driver, 20).until(lambda _: driver.find_element(By.ID, "details").is_displayed())
    driver.execute_script("document.activeElement.blur()")


def main() -> None:
    """Write the pictures."""
    if lacking := missing():
        sys.exit(lacking)
    with _session() as url:
        for theme, dark in (("light", False), ("dark", True)):
            with browser(width=_SIZE[0], height=_SIZE[1], dark=dark, scale=2) as driver:
                _open(driver, url)
                _open_rejected(driver)
                driver.save_screenshot(str(_FOLDER / f"console-{theme}.png"))


if __name__ == "__main__":
    main()
