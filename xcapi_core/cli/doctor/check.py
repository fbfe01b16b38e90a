"""One check: what was looked at, what was found, what to do."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Checks", "Status"]

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check; `fix` is the sentence and the command that mends it, empty where nothing is to do."""

    check: str
    status: Status
    found: str
    fix: str = ""
    pixel_id: str = ""
    event: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the check as `--json` prints it: `pixel_id` and `event` only where there is one."""
        shown = {"check": self.check, "status": self.status, "found": self.found, "fix": self.fix}
        return shown | {name: text for name in ("pixel_id", "event") if (text := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class Checks:
    """Makes the checks of one pixel, or, with "" for the pixel, of what all share."""

    pixel_id: str = ""

    def ok(self, check: str, found: str, *, event: str = "") -> Check:
        """Say that all is well."""
        return self._make(check, "ok", found, "", event)

    def warning(self, check: str, found: str, fix: str, *, event: str = "") -> Check:
        """Say that somebody should look at this."""
        return self._make(check, "warning", found, fix, event)

    def failed(self, check: str, found: str, fix: str, *, event: str = "") -> Check:
        """Say that this has to be mended."""
        return self._make(check, "failed", found, fix, event)

    def skipped(self, check: str, why: str, *, event: str = "") -> Check:
        """Say that this could not be looked at."""
        return self._make(check, "skipped", why, "", event)

    def _make(self, check: str, status: Status, found: str, fix: str, event: str) -> Check:
        return Check(check=check, status=status, found=found, fix=fix, pixel_id=self.pixel_id, event=event)
