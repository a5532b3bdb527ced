"""A calibration that goes on by itself in the process that began it, and is looked at from any other."""

import logging
import secrets
import shutil
import threading
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import RowMapping

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.ticker import Ticker
from firstline.orchestrator.experiments.calibrate import calibrate
from firstline.orchestrator.experiments.calibration_aim import Aim, CalibrationResult
from firstline.orchestrator.run.runner import View
from firstline.orchestrator.store import background_calibrations as store
from firstline.orchestrator.store import jobs
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import BackgroundCalibrationRow
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Frozen
from firstline.schemas.errors import FirstlineError, UserError
from firstline.schemas.job import JobStatus

_log = logging.getLogger(__name__)

#: Seconds between two signs of life, and after how many without one nobody runs it any more.
_BEAT_S, _SILENT_S = 5.0, 60.0


class BackgroundCalibration(Frozen):
    """A calibration and how far it is."""

    id: str
    workflow: str
    begun_by: str
    begun_at: datetime
    #: running, done, failed, interrupted
    state: str
    aim: Aim
    #: The jobs that answer for it so far.
    jobs: tuple[JobStatus, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state != "running"


def begin(order: Order, aim: Aim, *, by: str) -> str:
    """Begin to calibrate, and return the id to look at it by; what is wrong with the order is told there.

    UserError: no Redis is configured, so that no workers could answer.
    """
    if get_settings().redis_url is None:
        raise UserError(
            "calibrating from the pages needs workers that run: set FIRSTLINE_REDIS_URL for `firstline serve` and "
            "start them, or use `firstline calibrate`, which starts its own"
        )
    assert order.source is not None
    run = secrets.token_hex(6)
    row = BackgroundCalibrationRow(
        id=run,
        tenant=order.request.options.tenant,
        workflow=_workflow_name(order),
        begun_by=by,
        aim={name: value for name, value in asdict(aim).items() if value is not None},
        begun_at=now(),
        heard_at=now(),
    )
    with api.engine().db.writing() as tx:
        store.insert(tx, row=row)
    # The upload is gone as soon as its request has been answered.
    folder = TemporaryDirectory(prefix="firstline-")
    kept = shutil.copy(order.source, Path(folder.name))
    _Run(run, replace(order, source=str(kept)), aim, folder).start()
    return run


def _workflow_name(order: Order) -> str:
    given = order.request.workflow
    return given if isinstance(given, str) else given.name if given is not None else ""


@dataclass
class _Run:
    """One of them at work, on a thread of its own."""

    id: str
    order: Order
    aim: Aim
    folder: "TemporaryDirectory[str]"
    jobs: list[str] = field(default_factory=list)

    def start(self) -> None:
        threading.Thread(target=self._work, name=f"firstline-calibrate-{self.id}", daemon=True).start()

    def _work(self) -> None:
        beat = Ticker("calibration", _BEAT_S, self._beat)
        with ExitStack() as stack:
            stack.enter_context(self.folder)
            stack.callback(beat.stop)
            beat.start()
            state, said = self._outcome()
        with api.engine().db.writing() as tx:
            store.end(tx, run=self.id, state=state, said=said)

    def _outcome(self) -> tuple[str, list[str]]:
        try:
            found = calibrate(self.order, self.aim, View(quiet=True, opened=self._began))
        except FirstlineError as error:
            return "failed", [str(error)]
        except Exception:
            _log.exception("calibration.bug", extra={"calibration": self.id})
            return "failed", ["a bug ended it; the log of `firstline serve` has the traceback"]
        return "done", [_sentence(one) for one in found]

    def _began(self, job: str) -> None:
        if job not in self.jobs:
            self.jobs.append(job)
            self._beat()

    def _beat(self) -> None:
        with api.engine().db.writing() as tx:
            store.heard(tx, run=self.id, jobs=self.jobs)


def _sentence(one: CalibrationResult) -> str:
    return (
        f"{one.step}: {one.skill} version {one.skill_version}, {one.cheap_model} under {one.frontier_model}: {one.said}"
    )


def look(run: str, *, tenant: str | None) -> BackgroundCalibration | None:
    """Return one and the jobs that answer for it; None where this tenant has none of that id."""
    with api.engine().db.reading() as tx:
        row = store.get(tx, run=run, tenant=tenant)
        if row is None:
            return None
        return _as_it_stands(row).evolve(jobs=tuple(jobs.status(tx, job=job) for job in row["jobs"]))


def listing(*, tenant: str | None, limit: int) -> list[BackgroundCalibration]:
    """Return those of a tenant, or of all, the newest first, without their jobs."""
    with api.engine().db.reading() as tx:
        return [_as_it_stands(row) for row in store.listed(tx, tenant=tenant, limit=limit)]


def _as_it_stands(row: RowMapping) -> BackgroundCalibration:
    lost = row["state"] == "running" and now() - row["heard_at"] > timedelta(seconds=_SILENT_S)
    told = ("the process that ran it is gone; begin it again with the same items: what was answered is not paid again",)
    kept = {name: row[name] for name in ("id", "workflow", "begun_by", "begun_at", "state", "aim", "said")}
    return BackgroundCalibration.model_validate(kept | ({"state": "interrupted", "said": told} if lost else {}))
