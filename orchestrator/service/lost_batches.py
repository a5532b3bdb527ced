"""Batches that were sent and not judged: which of them vanished, and which failed, by what Redis holds of them."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import RowMapping

from firstline.config.queues.app import STEPS
from firstline.orchestrator.core.context import Context
from firstline.workers.durability.claims import ANSWERED, JUDGED, LOST, names_in, sign_of, waited_s

#: Seconds that a sent batch may be neither queued nor held before it counts as lost.
SETTLING_S = 3.0


def sort_out(
    engine: Context, out: Sequence[RowMapping], queue_of: Callable[[RowMapping], str], overtaken_at: datetime
) -> tuple[list[RowMapping], list[tuple[RowMapping, str]]]:
    """Return the batches to send again: those that vanished, and those that failed, with what their claim says.

    A batch fails with its worker, or where its message could not be read.
    """
    keys = engine.settings.keys
    claims = [None if text is None else str(text) for text in engine.redis.mget([keys.claim(row["id"]) for row in out])]
    holders = {claim for claim in claims if claim and claim not in (JUDGED, LOST) and not claim.startswith(ANSWERED)}
    held = _held_by(engine, holders)
    served = {name: engine.workers_of(name) > 0 for name in {queue_of(row) for row in out}}
    empty = {name: _is_empty(engine, keys.queue(name)) for name in served}
    judges_idle = _is_empty(engine, engine.orchestrators)
    now_s = float(engine.redis.time()[0])
    lost: list[RowMapping] = []
    dead: list[tuple[RowMapping, str]] = []
    for row, claim in zip(out, claims, strict=True):
        overtaken = row["changed_at"] < overtaken_at
        if claim is None or claim == LOST:
            lost += [row] if empty[queue_of(row)] or (overtaken and served[queue_of(row)]) else []
        elif claim.startswith(ANSWERED):
            lost += [row] if waited_s(claim, now_s) > SETTLING_S and (judges_idle or overtaken) else []
        elif claim == JUDGED or claim not in held:
            dead.append((row, claim))
        elif row["id"] not in held[claim]:
            # Its holder lives and has lost it: Redis was away when it answered.
            lost.append(row)
    return lost, dead


def _held_by(engine: Context, holders: Collection[str]) -> dict[str, frozenset[str]]:
    """Return worker -> the batches that it says it works on, of those workers that live."""
    names = sorted(holders)
    texts = engine.redis.mget([engine.settings.keys.heartbeat(name) for name in names]) if names else []
    return {
        name: frozenset(names_in(sign_of(text), "batches")) for name, text in zip(names, texts, strict=True) if text
    }


def _is_empty(engine: Context, queue: str) -> bool:
    names = [queue if step == 0 else f"{queue}\x06\x16{step}" for step in STEPS]
    return sum(engine.redis.llen(name) for name in names) == 0
