"""What a line of the log, or a dead letter, says of a conversion that somebody asks for."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from xcapi_core.cli.dlq.dead_letter import DeadLetter
from xcapi_core.cli.log.cloud import OF_THE_FUNCTION, one_of, since_filter
from xcapi_core.cli.log.lines import LogLine

__all__ = ["End", "Finding", "Wanted"]

End = Literal["delivered", "already_delivered", "dead_lettered", "skipped"]

_DIGEST_CHARACTERS: Final = 16  # as the function names conversions in its log


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Where a conversion ended at one time. `debug_id` is X's of a delivery, `reason` a dead letter's."""

    conversion_id: str
    end: End
    time: datetime | None
    pixel_id: str
    debug_id: str = ""
    reason: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as `--json` prints it."""
        shown = {
            "conversion_id": self.conversion_id,
            "end": self.end,
            "time": self.time.isoformat() if self.time else "",
            "pixel_id": self.pixel_id,
        }
        return shown | {name: text for name in ("debug_id", "reason") if (text := getattr(self, name))}


class Wanted:
    """The conversions that are asked for, under the names by which the log may have them."""

    def __init__(self, conversion_ids: Iterable[str], pixel_ids: Iterable[str]) -> None:
        self._ids = tuple(dict.fromkeys(conversion_ids))
        self._digests = {
            hashlib.sha256(f"{pixel_id}|{one}".encode()).hexdigest()[:_DIGEST_CHARACTERS]: (one, pixel_id)
            for pixel_id in pixel_ids
            for one in self._ids
        }

    def missing(self, findings: Iterable[Finding]) -> list[str]:
        """Return the ids of which nothing was found."""
        found = {finding.conversion_id for finding in findings}
        return [one for one in self._ids if one not in found]

    def cloud_filter(self, since: datetime | None) -> str:
        """Return the query for Cloud Logging and its Logs Explorer."""
        names = [one_of("jsonPayload.conversion_ids", self._ids)]
        if self._digests:
            names.append(one_of("jsonPayload.conversion_digests", self._digests))
        when = [since_filter(since)] if since else []
        return "\n".join([OF_THE_FUNCTION, *when, f"({' OR '.join(names)})"])

    def in_line(self, line: LogLine) -> Iterator[Finding]:
        """Yield what a line says of the conversions."""
        named = {(one, line.text("pixel_id")) for one in line.names("conversion_ids") if one in self._ids}
        named |= {self._digests[one] for one in line.names("conversion_digests") if one in self._digests}
        reason = line.text("reason")
        end: End
        if line.event == "batch.delivered":
            end = "delivered"
        elif reason:
            end = "dead_lettered"
        elif line.event.startswith("delivery."):
            end = "already_delivered"
        else:
            return
        for conversion_id, pixel_id in sorted(named):
            debug_id = line.text("debug_id") if end == "delivered" else ""
            yield Finding(
                conversion_id=conversion_id,
                end=end,
                time=line.time,
                pixel_id=pixel_id or line.text("pixel_id"),
                debug_id=debug_id,
                reason=reason if end == "dead_lettered" else "",
            )

    def in_dead_letter(self, dead_letter: DeadLetter, conversion_id: str, pixel_id: str) -> Finding | None:
        """Return what a dead letter means for the conversion in it, None where that is another."""
        if conversion_id not in self._ids:
            return None
        return Finding(
            conversion_id=conversion_id,
            end="dead_lettered",
            time=dead_letter.failed_at,
            pixel_id=pixel_id,
            reason=dead_letter.reason,
        )
