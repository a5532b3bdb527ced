"""Calibrations: thresholds that live and die with a skill version and a pair of models."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, select, update

from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import CalibrationRow
from firstline.schemas.base import Frozen
from firstline.schemas.policy import Combination

_calibration = CalibrationRow.__table__  # type: ignore[attr-defined]

#: Signal of a row that stands for drift where no threshold was calibrated: it is about every answer.
ANY_SIGNAL = "(any)"
#: States in which a calibration has a say.
STANDING = ("live", "drifted")
#: How long one look at a model's answers bears on the next: later the models behind a name have moved on.
LOOKS_LAST = timedelta(days=30)


class Certificate(Frozen):
    """What is known of a skill's answers by one model: from where on they may be accepted, or that nothing could be."""

    calibration: int
    model: str
    signal: str
    combination: Combination | None = None
    #: None: nothing could be certified.
    threshold: float | None
    #: Loss over all items that it stands for, and the chance that it is more.
    max_loss: float
    delta: float
    #: What was to be borne by the whole ladder when it was calibrated.
    borne: float
    #: Audits say that it holds no more.
    drifted: bool = False


def insert(tx: Connection, *, row: CalibrationRow) -> int:
    """Write a calibration and return its number; older ones for the same skill version, models and signal die.

    A new live one also ends what an audit said of every signal.
    """
    signals = (row.signal, ANY_SIGNAL) if row.state == "live" else (row.signal,)
    same = (
        _calibration.c.tenant == row.tenant,
        _calibration.c.skill == row.skill,
        _calibration.c.skill_digest == row.skill_digest,
        _calibration.c.cheap_model == row.cheap_model,
        _calibration.c.frontier_model == row.frontier_model,
        _calibration.c.signal.in_(signals),
        _calibration.c.state.in_(STANDING),
    )
    tx.execute(update(_calibration).where(*same).values(state="dead", reason="replaced by a newer calibration"))
    values = row.model_dump(exclude={"id"})
    return int(tx.execute(_calibration.insert().values(**values).returning(_calibration.c.id)).scalar_one())


def standing(tx: Connection, *, tenant: str, skill_digest: str, frontier_model: str) -> list[RowMapping]:
    """Return the live and the drifted calibrations of a skill's version beneath a top model, newest first."""
    query = (
        select(_calibration)
        .where(
            _calibration.c.tenant == tenant,
            _calibration.c.skill_digest == skill_digest,
            _calibration.c.frontier_model == frontier_model,
            _calibration.c.state.in_(STANDING),
        )
        .order_by(_calibration.c.id.desc())
    )
    return list(tx.execute(query).mappings())


def certificates(tx: Connection, *, tenant: str, skill_digest: str, frontier_model: str) -> list[Certificate]:
    """Return what `standing` calibrations certify, newest first."""
    return [
        Certificate(
            calibration=row["id"],
            model=row["cheap_model"],
            signal=row["signal"],
            combination=row["combination"] and Combination.model_validate(row["combination"]),
            threshold=row["threshold"],
            max_loss=row["certified_max_loss"] if row["certified_max_loss"] is not None else 0.0,
            delta=row["delta"],
            borne=row["max_loss"],
            drifted=row["state"] == "drifted",
        )
        for row in standing(tx, tenant=tenant, skill_digest=skill_digest, frontier_model=frontier_model)
    ]


def look(
    tx: Connection, *, tenant: str, skill_digest: str, cheap_model: str, frontier_model: str, question: str
) -> int:
    """Return which look at a model's answers a question is, from 1: one that was asked before keeps its number.

    Looks are counted since audits last found drift and for a month: what is calibrated anew then is another traffic.
    """
    mine = (
        _calibration.c.tenant == tenant,
        _calibration.c.skill_digest == skill_digest,
        _calibration.c.cheap_model == cheap_model,
        _calibration.c.frontier_model == frontier_model,
    )
    drifted_at = tx.scalar(select(func.max(_calibration.c.drifted_at)).where(*mine))
    since = max(filter(None, (now() - LOOKS_LAST, drifted_at)))
    query = select(_calibration.c.question, _calibration.c.look).where(
        *mine, _calibration.c.question.is_not(None), _calibration.c.created_at >= since
    )
    known = {str(asked): int(number) for asked, number in tx.execute(query)}
    return known.get(question, max(known.values(), default=0) + 1)


def drifted_at(tx: Connection, *, tenant: str, skill_digest: str, frontier_model: str) -> datetime | None:
    """Return when audits last found drift in a skill's answers beneath a top model; dead calibrations count too."""
    mine = (
        _calibration.c.tenant == tenant,
        _calibration.c.skill_digest == skill_digest,
        _calibration.c.frontier_model == frontier_model,
    )
    found: datetime | None = tx.scalar(select(func.max(_calibration.c.drifted_at)).where(*mine))
    return found


def drifted(tx: Connection, *, numbers: Collection[int]) -> frozenset[int]:
    """Return which of these calibrations audits have found to hold no more."""
    if not numbers:
        return frozenset()
    query = select(_calibration.c.id).where(_calibration.c.id.in_(numbers), _calibration.c.state == "drifted")
    return frozenset(tx.scalars(query))


def end(tx: Connection, *, calibration: int, state: str, reason: str) -> None:
    """Let a calibration die, or mark it as drifted."""
    query = update(_calibration).where(_calibration.c.id == calibration)
    drifted_at = {"drifted_at": now()} if state == "drifted" else {}
    tx.execute(query.values(state=state, reason=reason, **drifted_at))


def every(tx: Connection, *, tenant: str | None = None) -> list[RowMapping]:
    """Return the calibrations of a tenant, or of all, newest first."""
    query = select(_calibration).order_by(_calibration.c.id.desc())
    return list(tx.execute(query if tenant is None else query.where(_calibration.c.tenant == tenant)).mappings())
