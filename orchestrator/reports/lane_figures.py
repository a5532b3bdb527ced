"""What each lane took of a job's calls: answered there or turned away, and what that cost."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import RowMapping

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.report import LaneLine
from firstline.schemas.tier import Lane


def lanes_of(lines: Sequence[RowMapping]) -> tuple[LaneLine, ...]:
    """Return a line a lane, in the order of `Lane`; nothing where all calls were answered on the ordinary one."""
    grouped: dict[Lane, list[RowMapping]] = defaultdict(list)
    for line in lines:
        if line["service_tier"] is not None and not line["from_cache"]:
            grouped[Lane(line["service_tier"])].append(line)
    if not grouped.keys() - {Lane.STANDARD}:
        return ()
    return tuple(_line(lane, grouped[lane]) for lane in Lane if lane in grouped)


def _line(lane: Lane, lines: Sequence[RowMapping]) -> LaneLine:
    away = sum(line["attempts"] for line in lines if line["error"] == ErrorKind.LANE)
    known = [line["cost_usd"] for line in lines if line["priced"]]
    return LaneLine(
        lane=lane,
        answered=sum(line["attempts"] for line in lines) - away,
        turned_away=away,
        cost_usd=sum(known) if known else None,
    )
