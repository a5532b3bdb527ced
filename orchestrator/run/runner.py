"""`firstline run` from the first byte of input to the report: check, start, submit, follow, write, compare."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.worker_requirements import refuse_services
from firstline.orchestrator.money import estimate, job_estimate
from firstline.orchestrator.quality import audits
from firstline.orchestrator.reports import baselines
from firstline.orchestrator.reports.progress import show_progress
from firstline.orchestrator.results.outlet import Form, check_writable, write_results
from firstline.orchestrator.run.embedded import StopSignal, embedded, running_redis, using_redis
from firstline.orchestrator.submission.resumed_items import expect_same
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.errors import FirstlineError, UserError
from firstline.schemas.estimate import Estimate
from firstline.schemas.job import JobState, JobStatus
from firstline.schemas.jobfile import BaselineKind
from firstline.schemas.report import Report
from firstline.schemas.tier import Profile

#: Exit code of a program that Ctrl-C ended: 128 + SIGINT.
CTRL_C = 130


class Interrupted(FirstlineError):
    """A person stopped the run; the message says what is kept and how to go on."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Crew:
    """Who does the work: the embedded set of processes, or workers elsewhere."""

    #: What jobs are to be submitted with.
    profile: Profile
    #: Raises InfrastructureError when the work cannot go on; None: others look after the workers.
    check: Callable[[], None] | None = None


@dataclass(frozen=True)
class View:
    """What the person who waits wants to see and keep."""

    out: str | None = None
    quiet: bool = False
    form: Form = field(default_factory=Form)
    #: Is told the job's id as soon as it has one.
    opened: Callable[[str], None] | None = None

    def show_page(self, job: str) -> None:
        """Have the job's page opened, where somebody wants it."""
        if self.opened is not None:
            self.opened(job)

    def tell(self, *notes: str) -> None:
        """Say something beside the progress."""
        if not self.quiet:
            sys.stderr.writelines(f"{note}\n" for note in notes)


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    status: JobStatus
    report: Report


def run(
    order: Order,
    view: View,
    *,
    record: Path | None = None,
    resuming: str | None = None,
    yes: Callable[[str], bool] = lambda doubt: True,
) -> RunResult:
    """Run an order to its end, or go on with the job of an earlier run of it.

    `yes` is asked where it is expected to cost more than the top tier alone. Raises UserError before anything has
    begun, Interrupted when a person stops it.
    """
    check_writable(view.out, view.form)
    with order.checked() as usable:
        view.tell(*usable.notes)
        expected = None if resuming else _agreed(usable, yes)
        with crew_for(usable, record, resuming) as crew:
            return _run(usable, view, crew, resuming=resuming, expected=expected)


def _agreed(order: Order, yes: Callable[[str], bool]) -> Estimate:
    """Return what an order is expected to cost; UserError where somebody does not want it at that."""
    with api.engine().db.reading() as tx:
        expected = estimate.estimate(tx, order)
    doubt = job_estimate.above_top(expected)
    if doubt is not None and not yes(doubt):
        raise UserError(f"not run, and nothing spent: {doubt}")
    return expected


def _run(usable: Order, view: View, crew: Crew, *, resuming: str | None, expected: Estimate | None) -> RunResult:
    if resuming and usable.source:
        expect_same(api.engine().db, resuming, usable.items())
    job = resuming or submit(usable, crew.profile, expected)
    view.show_page(job)
    if resuming:
        wake(resuming)
    status = follow(job, view, crew.check)
    measured = _measure(usable, job, crew, view) if status.state is JobState.DONE else {}
    audit(job, crew.check, view)
    return RunResult(status, baselines.compared(reported(job), measured, crew.profile))


def reported(job: str) -> Report:
    """Return the report of a job that has ended, through the database's outages."""
    return api.through_outages(partial(api.report, job))


def audit(job: str, check: Callable[[], None] | None, view: View, *, budget_usd: float | None = None) -> None:
    """Have the top tier also answer what was drawn of a job that has ended; the job's own results stand already."""
    with suppress(Interrupted):
        for audit_job in api.through_outages(partial(audits.ask, job, budget_usd=budget_usd)):
            if api.status(audit_job).state is JobState.PAUSED:
                api.resume(audit_job)
            follow(audit_job, View(quiet=view.quiet), check, title="audit: ")
            audits.compare(audit_job)
            for judge_job in audits.judge_jobs(audit_job):
                follow(judge_job, View(quiet=view.quiet), check, title="judge: ")
            audits.compare(audit_job)


def go_on(job: str, act: Callable[[str], object], view: View) -> RunResult | None:
    """Do something to a job that makes it go on; None when workers that run already go on with it, and none waits.

    Who wants its results or its report waits. Without any workers, what it needs is started here, followed and stopped
    at its end, as `run` does.
    """
    check_writable(view.out, view.form)
    settings = get_settings()
    if url := running_redis(settings):
        with using_redis(url):
            view.show_page(job)
            act(job)
            return RunResult(follow(job, view), reported(job)) if view.out or view.quiet else None
    with embedded(api.profile(job), settings, resuming=job) as runtime:
        view.show_page(job)
        act(job)
        return RunResult(follow(job, view, runtime.check), reported(job))


def retry(job: str, items: Sequence[str] | None, view: View) -> RunResult | None:
    """Try failed items again (None: all that failed) and follow the job as `go_on` does."""

    def again(job: str) -> None:
        if not api.retry(job, items=items):
            raise UserError(f"job {job} has no failed items to try again")

    return go_on(job, again, view)


def wake(job: str) -> None:
    """Let a job go on that was paused; one that a crash left running goes on by itself."""
    status = api.status(job)
    if status.state.ended:
        raise UserError(f"job {job} has ended ({status.state.value}); `firstline retry {job}` tries failed items again")
    if status.state is JobState.PAUSED:
        api.resume(job)


def submit(order: Order, profile: Profile, expected: Estimate | None = None) -> str:
    """Submit an order with what it is expected to cost, and return the job's id."""
    if expected is None:
        with api.engine().db.reading() as tx:
            expected = estimate.estimate(tx, order)
    job = api.submit(order.request.evolve(profile=profile), order.items(), folders=order.functions)
    job_estimate.keep(api.engine(), job, expected)
    return job


def submit_elsewhere(order: Order) -> JobStatus:
    """Check an order, submit it to the workers that run already, and return how it stands."""
    url = running_redis(get_settings())
    if url is None:
        raise UserError(
            "no workers run: FIRSTLINE_REDIS_URL is not set and no `firstline run` is under way here; set it and start "
            "`firstline orchestrator` and `firstline worker --tier NAME`, or use `firstline run`"
        )
    refuse_services(order.profile)
    with order.checked() as usable, using_redis(url):
        View().tell(*usable.notes)
        return api.status(submit(usable, usable.profile))


def follow(job: str, view: View, check: Callable[[], None] | None = None, *, title: str = "") -> JobStatus:
    """Show a job's progress until it ends or pauses, and write its results; `check` as a crew's."""
    with _kept(job, check):
        limit_s = get_settings().no_model_s if check else math.inf
        moving = patient(api.watch(job, beat_s=BEAT_S if check else math.inf), limit_s=limit_s)
        status = show_progress(moving, title=title, quiet=view.quiet)
        if view.out:
            write_results(api.results_beside(job, patient=True), view.out, view.form)
    return status


@contextmanager
def crew_for(order: Order, record: Path | None = None, resuming: str | None = None) -> Iterator[Crew]:
    """Yield who works on an order: processes started here, or workers elsewhere where a Redis is configured."""
    settings = get_settings()
    if settings.redis_url is None:
        with embedded(order.profile, settings, record=record, resuming=resuming) as runtime:
            yield Crew(runtime.profile, runtime.check)
        return
    if record:
        raise UserError("--record needs the workers that `run` starts itself; unset FIRSTLINE_REDIS_URL")
    refuse_services(order.profile)
    yield Crew(order.profile)


@contextmanager
def _kept(job: str, check: Callable[[], None] | None) -> Iterator[None]:
    """Turn a person's stop into a sentence that says what is kept and how to go on."""
    try:
        yield
    except Stalled as stalled:
        raise Stalled(f"{stalled}\n{_farewell(job, embedded_run=True, reason=str(stalled))}") from None
    except KeyboardInterrupt as stop:
        if check:
            check()
        code = stop.exit_code if isinstance(stop, StopSignal) else CTRL_C
        raise Interrupted(_farewell(job, embedded_run=check is not None), exit_code=code) from None


def _farewell(job: str, *, embedded_run: bool, reason: str = "its run was stopped") -> str:
    status = api.status(job)
    done = f"{status.ended_items:,} of {status.items:,} items done"
    if not embedded_run:
        return f"job {job} goes on unwatched ({done}). Watch: firstline watch {job}; end: firstline cancel {job}"
    with suppress(FirstlineError):
        api.pause(job, reason=reason)
    where = get_settings().state_dir
    return f"stopped; {done} and kept in {where}. Go on: firstline resume {job}; see them: firstline results {job}"


def _measure(order: Order, job: str, crew: Crew, view: View) -> dict[BaselineKind, Report]:
    """Run the order's baselines over the same items and return the reports of those that ended."""
    quiet = View(quiet=view.quiet)
    reports = {}
    for kind in baselines.to_run(order.baselines):
        request = baselines.request(order.request.evolve(profile=crew.profile), job, kind, crew.profile)
        other = api.submit(request, order.items(), folders=order.functions)
        status = follow(other, quiet, crew.check, title=f"{baselines.NAMES[kind]}: ")
        if status.state is JobState.DONE:
            reports[kind] = reported(other)
    return reports


#: Seconds between two looks at a job that does not change.
BEAT_S = 1.0


class Stalled(UserError):
    """A run that waits in vain; the message says for what."""


def patient(
    statuses: Iterable[JobStatus], *, limit_s: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[JobStatus]:
    """Yield statuses; raise Stalled when a running job says what it waits for and has not moved for `limit_s`."""
    moved_at, last = clock(), None
    for status in statuses:
        progress = (status.ended_items, status.review, status.cost_usd)
        if progress != last or status.state is not JobState.RUNNING or status.reason is None:
            moved_at, last = clock(), progress
        elif clock() - moved_at > limit_s:
            raise Stalled(f"nothing has moved for {limit_s:.0f} s: {status.reason}")
        yield status
