"""Calibrations and tunings that go on by themselves in the process that began them, looked at from any other."""

import logging
import secrets
import shutil
import threading
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import RowMapping

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.ticker import Ticker
from firstline.orchestrator.experiments.calibrate import calibrate
from firstline.orchestrator.experiments.calibration_aim import Aim, CalibrationResult
from firstline.orchestrator.experiments.tune import carry_out, prepare
from firstline.orchestrator.experiments.tune_report import TuneAim
from firstline.orchestrator.experiments.tune_text import outcome
from firstline.orchestrator.run.runner import Interrupted, View
from firstline.orchestrator.store import background_experiments as store
from firstline.orchestrator.store import jobs
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import BackgroundExperimentRow
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Frozen
from firstline.schemas.errors import FirstlineError, OverQuotaError, UserError
from firstline.schemas.job import JobStatus

_log = logging.getLogger(__name__)

#: Seconds between two signs of life, and after how many without one nobody runs it any more.
_BEAT_S, _SILENT_S = 5.0, 60.0
#: Of one tenant, in all processes.
MOST_AT_ONCE = 4


class ExperimentKind(StrEnum):
    """What is found out."""

    CALIBRATION = "calibration"
    TUNING = "tuning"

    @classmethod
    def of(cls, aim: Aim | TuneAim) -> "ExperimentKind":
        """Return the kind that has such an aim."""
        return cls.TUNING if isinstance(aim, TuneAim) else cls.CALIBRATION


class BackgroundExperiment(Frozen):
    """A calibration or tuning, and how far it is."""

    id: str
    kind: ExperimentKind
    workflow: str
    begun_by: str
    begun_at: datetime
    #: running, done, failed, interrupted, cancelled
    state: str
    #: What is to be certified, and from how many labels.
    aim: Aim | TuneAim
    #: The jobs that answer for it so far.
    jobs: tuple[JobStatus, ...] = ()
    #: What came of it, a sentence for each step and model; or why nothing did.
    said: tuple[str, ...] = ()
    #: Number of the tuning that came of it.
    tuning: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state != "running"


def begin(order: Order, aim: Aim | TuneAim, *, by: str) -> str:
    """Begin to calibrate or tune, and return the id to look at it by; what is wrong with the order is told there.

    UserError: no Redis is configured, so that no workers could answer. OverQuotaError: so many of the tenant run.
    """
    kind = ExperimentKind.of(aim)
    if get_settings().redis_url is None:
        command = "tune" if kind is ExperimentKind.TUNING else "calibrate"
        raise UserError(
            f"a {kind} begun here needs workers that run: set FIRSTLINE_REDIS_URL for `firstline serve` and "
            f"start them, or use `firstline {command}`, which starts its own"
        )
    assert order.source is not None
    tenant = order.request.options.tenant
    with api.engine().db.reading() as tx:
        at_work = store.running(tx, tenant=tenant, since=now() - timedelta(seconds=_SILENT_S))
    if at_work >= MOST_AT_ONCE:
        running = f"{at_work} calibrations and tunings of tenant '{tenant}' run already"
        raise OverQuotaError(f"{running}, expected fewer than {MOST_AT_ONCE}; wait until one has ended, or cancel it")
    run = secrets.token_hex(6)
    row = BackgroundExperimentRow(
        id=run,
        kind=kind,
        tenant=tenant,
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


@dataclass(frozen=True)
class _Outcome:
    """What came of one."""

    state: str
    said: list[str]
    tuning: int | None = None


@dataclass
class _Run:
    """One of them at work, on a thread of its own."""

    id: str
    order: Order
    aim: Aim | TuneAim
    folder: "TemporaryDirectory[str]"
    jobs: list[str] = field(default_factory=list)

    def start(self) -> None:
        threading.Thread(target=self._work, name=f"firstline-experiment-{self.id}", daemon=True).start()

    def _work(self) -> None:
        beat = Ticker("experiment", _BEAT_S, self._beat)
        with ExitStack() as stack:
            stack.enter_context(self.folder)
            stack.callback(beat.stop)
            beat.start()
            came = self._outcome()
        with api.engine().db.writing() as tx:
            store.end(tx, run=self.id, state=came.state, said=came.said, tuning=came.tuning)

    def _outcome(self) -> _Outcome:
        view = View(quiet=True, opened=self._began)
        try:
            match self.aim:
                case Aim():
                    return _Outcome("done", [_sentence(one) for one in calibrate(self.order, self.aim, view)])
                case TuneAim():
                    made = carry_out(prepare(self.order, self.aim), view)
                    said = [made.report.verdict, *(outcome(step, made.report) for step in made.report.steps)]
                    return _Outcome("done", said, made.number)
        except FirstlineError as error:
            return _Outcome("failed", [str(error)])
        except Exception:
            _log.exception("experiment.bug", extra={"experiment": self.id})
            return _Outcome("failed", ["a bug ended it; the log of `firstline serve` has the traceback"])

    def _began(self, job: str) -> None:
        if job not in self.jobs:
            self.jobs.append(job)
        if not self._heard():
            # Somebody cancelled it before this job was known.
            _cancel_jobs([job])
            raise Interrupted("it was cancelled", exit_code=1)

    def _beat(self) -> None:
        self._heard()

    def _heard(self) -> bool:
        with api.engine().db.writing() as tx:
            return store.heard(tx, run=self.id, jobs=self.jobs)


def _sentence(one: CalibrationResult) -> str:
    return (
        f"{one.step}: {one.skill} version {one.skill_version}, {one.cheap_model} under {one.frontier_model}: {one.said}"
    )


def cancel(run: str, *, tenant: str | None, by: str) -> bool:
    """Cancel one that is running, and the jobs that answer for it; False: it has ended, or there is none."""
    said = f"{by} cancelled it; what was answered is kept: begun again with the same items it goes on"
    with api.engine().db.writing() as tx:
        row = store.get(tx, run=run, tenant=tenant)
        if row is None or not store.end(tx, run=run, state="cancelled", said=[said]):
            return False
    _cancel_jobs(row["jobs"])
    return True


def _cancel_jobs(names: list[str]) -> None:
    for job in names:
        if not api.status(job).state.ended:
            api.cancel(job, reason="the experiment that it answers for was cancelled")


def look(run: str, *, tenant: str | None) -> BackgroundExperiment | None:
    """Return one and the jobs that answer for it; None where this tenant has none of that id."""
    with api.engine().db.reading() as tx:
        row = store.get(tx, run=run, tenant=tenant)
        if row is None:
            return None
        return _as_it_stands(row).evolve(jobs=tuple(jobs.status(tx, job=job) for job in row["jobs"]))


def listing(kind: ExperimentKind | None, *, tenant: str | None, limit: int) -> list[BackgroundExperiment]:
    """Return those of a kind and of a tenant, or of all (None), the newest first, without their jobs."""
    with api.engine().db.reading() as tx:
        return [_as_it_stands(row) for row in store.listed(tx, kind=kind, tenant=tenant, limit=limit)]


def _as_it_stands(row: RowMapping) -> BackgroundExperiment:
    lost = row["state"] == "running" and now() - row["heard_at"] > timedelta(seconds=_SILENT_S)
    told = ("the process that ran it is gone; begin it again with the same items: what was answered is not paid again",)
    kept = {name: row[name] for name in ("id", "kind", "workflow", "begun_by", "begun_at", "state", "said", "tuning")}
    aim = (TuneAim if row["kind"] == ExperimentKind.TUNING else Aim)(**row["aim"])
    return BackgroundExperiment.model_validate(
        kept | {"aim": aim} | ({"state": "interrupted", "said": told} if lost else {})
    )
