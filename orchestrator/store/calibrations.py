"""Calibrations: thresholds that live and die with a skill version and a pair of models."""

from sqlalchemy import Connection, RowMapping, select, update

from firstline.orchestrator.store.tables import CalibrationRow

_calibration = CalibrationRow.__table__  # type: ignore[attr-defined]

#: Signal of a row that stands for drift where no threshold was calibrated: it is about every answer.
ANY_SIGNAL = "(any)"
#: States in which a calibration has a say.
STANDING = ("live", "drifted")


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


def standing(tx: Connection, *, tenant: str, skill: str, cheap_model: str, frontier_model: str) -> list[RowMapping]:
    """Return the live and the drifted calibrations for a skill's name and these models, newest first."""
    query = (
        select(_calibration)
        .where(
            _calibration.c.tenant == tenant,
            _calibration.c.skill == skill,
            _calibration.c.cheap_model == cheap_model,
            _calibration.c.frontier_model == frontier_model,
            _calibration.c.state.in_(STANDING),
        )
        .order_by(_calibration.c.id.desc())
    )
    return list(tx.execute(query).mappings())


def end(tx: Connection, *, calibration: int, state: str, reason: str) -> None:
    """Let a calibration die, or mark it as drifted."""
    query = update(_calibration).where(_calibration.c.id == calibration)
    tx.execute(query.values(state=state, reason=reason))


def every(tx: Connection, *, tenant: str | None = None) -> list[RowMapping]:
    """Return the calibrations of a tenant, or of all, newest first."""
    query = select(_calibration).order_by(_calibration.c.id.desc())
    return list(tx.execute(query if tenant is None else query.where(_calibration.c.tenant == tenant)).mappings())
