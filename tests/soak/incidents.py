"""What goes wrong meanwhile, and when: always something, and now and then something large."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.soak.plan import REFUSED_NAMED, REFUSED_UNNAMED
from tests.soak.stage import Stage

__all__ = ["Incident", "everyday_faults", "incidents"]

_LATE_BY_S = 1.0
_OVERLAP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """`begin` when so large a share of the events is acked, `end` after `lasts_s`; both block."""

    name: str
    at_share: float
    lasts_s: float
    begin: Callable[[Stage], None]
    end: Callable[[Stage], None]
    for_the_emulator: bool = False


def everyday_faults(request_timeout_s: float) -> list[Mapping[str, object]]:
    """Return what X does all the time, as `POST /sandbox/faults` takes it; the first that fires wins."""
    return [
        {"latency_s": 0.03},
        {"latency_s": request_timeout_s + _LATE_BY_S, "rate": 0.02},
        {"status": 503, "rate": 0.06},
        {"status": 500, "rate": 0.04},
        {"status": 429, "reset_in_s": 1, "rate": 0.05},
        {"drop": "before", "rate": 0.01},
        {"drop": "after", "rate": 0.01},
        {"refuse": {"field": "conversion_id", "contains": REFUSED_NAMED, "named": True}},
        {"refuse": {"field": "conversion_id", "contains": REFUSED_UNNAMED}},
    ]


def incidents(*, outage_s: float, away_s: float, everyday: Sequence[Mapping[str, object]]) -> list[Incident]:
    """Return the large ones, in their order."""

    def outage_over(stage: Stage) -> None:
        stage.x.clear_faults()
        stage.x.inject(*everyday)

    def lose_secret_manager(stage: Stage) -> None:
        stage.secrets.set_down(down=True)
        stage.restart("SIGTERM")

    def nothing(_stage: Stage) -> None:
        pass

    return [
        Incident(
            name="X is down",
            at_share=0.1,
            lasts_s=outage_s,
            begin=lambda stage: stage.x.inject({"status": 503}),
            end=outage_over,
            for_the_emulator=True,
        ),
        Incident(
            name="the keys are rotated, the old ones revoked",
            at_share=0.25,
            lasts_s=_OVERLAP_S,
            begin=Stage.store_new_keys,
            end=Stage.revoke_old_keys,
            for_the_emulator=True,
        ),
        Incident(
            name="the dead-letter topic is away",
            at_share=0.4,
            lasts_s=away_s,
            begin=lambda stage: stage.take_dead_letters_away(away=True),
            end=lambda stage: stage.take_dead_letters_away(away=False),
        ),
        Incident(
            name="SIGTERM, and another instance",
            at_share=0.55,
            lasts_s=0,
            begin=lambda stage: stage.restart("SIGTERM"),
            end=nothing,
        ),
        Incident(
            name="Secret Manager is away from a new instance",
            at_share=0.7,
            lasts_s=away_s,
            begin=lose_secret_manager,
            end=lambda stage: stage.secrets.set_down(down=False),
        ),
        Incident(
            name="kill -9, and another instance",
            at_share=0.85,
            lasts_s=0,
            begin=lambda stage: stage.restart("kill -9"),
            end=nothing,
        ),
    ]
