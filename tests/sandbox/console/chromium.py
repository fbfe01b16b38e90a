"""A real Chromium without a screen, with a profile of its own, that loads nothing but what the tests serve."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

__all__ = ["browser", "missing", "resize", "severe"]

_FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium's own refuses to run as root; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # containers have 64 MB of it
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
    "--lang=en-GB",
)


def missing() -> str | None:
    """Return what this machine lacks for a browser, or None."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(lacking)} not found: apt install chromium chromium-driver" if lacking else None


@contextmanager
def browser(*, width: int = 1280, height: int = 900, dark: bool = False, scale: int = 1) -> Iterator[webdriver.Chrome]:
    """Start Chromium with a window of this size in CSS pixels; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="xcapi-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver"), env={"HOME": profile, **_path()}))
        try:
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            resize(driver, width, height, scale=scale)
            yield driver
        finally:
            driver.quit()


def resize(driver: webdriver.Chrome, width: int, height: int, *, scale: int = 1) -> None:
    """Give the page this size in CSS pixels; a window would not become as narrow as a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def severe(driver: webdriver.Chrome) -> list[str]:
    """Return, and forget, what the browser's own log says went wrong on its pages."""
    log: Any = driver.get_log
    return [line["message"] for line in log("browser") if line["level"] == "SEVERE"]


def _path() -> dict[str, str]:
    return {"PATH": str(Path(shutil.which("chromium") or "/usr/bin/chromium").parent) + ":/usr/bin:/bin"}
