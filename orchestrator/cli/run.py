"""`firstline run`: a job from its items to its results and its report, once or again and again."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import (
    Budget,
    FailOver,
    Goal,
    IdField,
    Input,
    Json,
    Limit,
    Map,
    Out,
    ProfileName,
    Raw,
    Record,
    Shape,
    SinceLast,
    Sql,
    Target,
)

if TYPE_CHECKING:
    from firstline.orchestrator.run.repeating import Arrival
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.run_request import Order, Wishes

PANEL = "Run"
NOTED = True


def run(
    target: Target = None,
    *,
    input_: Input = None,
    sql: Sql = None,
    map_: Map = None,
    id_field: IdField = None,
    profile: ProfileName = None,
    out: Out = None,
    shape: Shape = None,
    raw: Raw = False,
    limit: Limit = None,
    since_last: SinceLast = False,
    budget: Budget = None,
    goal: Goal = None,
    approve: Annotated[bool, typer.Option("--approve", help="Show a goal's plan and wait for a yes.")] = False,
    record: Record = None,
    fail_over: FailOver = "100%",
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="JOB", help="Go on with a job of an earlier run.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Run it although it is expected to cost more than the top tier alone.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the job's page in a browser while it runs.")] = False,
    every: Annotated[
        str | None, typer.Option("--every", metavar="AGE", help="Run it again after each 30m, 12h, 1d, ...")
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(
            "--watch",
            metavar="FOLDER",
            help="Run it for each file that arrives there, once; {name} in --out is the file's name.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a job to its end and show what it cost and how good it is.

    Without FIRSTLINE_REDIS_URL everything that it needs is started, and stopped at the end.
    """
    from firstline.orchestrator.cli._options import parse_share
    from firstline.orchestrator.cli._pages import pages
    from firstline.orchestrator.results.outlet import Form
    from firstline.orchestrator.results.outlet import Shape as Shapes
    from firstline.orchestrator.results.results_file import CsvStyle
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.input_fit import parse_mapping
    from firstline.orchestrator.submission.run_request import Wishes

    wishes = Wishes(
        input_,
        profile,
        limit,
        budget,
        goal,
        approve=approve,
        id_field=id_field,
        map=parse_mapping(map_),
        sql=sql,
        since_last=since_last,
    )
    form = Form(Shapes(shape) if shape else None, style=CsvStyle(raw))
    with pages(open_) as opened:
        view = View(out=out, quiet=as_json, form=form, opened=opened)
        one = _Run(target, wishes, view, record, parse_share(fail_over), asks=not (yes or as_json))
        if every is None and watch is None:
            one.once(resume)
        else:
            one.again(every, watch, resume)


@dataclass(frozen=True)
class _Run:
    """What the command line asks for, to be done once or again and again."""

    target: str | None
    wishes: "Wishes"
    view: "View"
    record: Path | None
    fail_over: float
    asks: bool

    def once(self, resume: str | None, key: str | None = None) -> None:
        """Run it to its end, and show how it ended; `key`: the idempotency key of its job."""
        from firstline.orchestrator.cli._show import finish
        from firstline.orchestrator.run import runner
        from firstline.orchestrator.submission.run_request import read_order

        view = self.view
        if resume and self.target is None and self.wishes.goal is None:
            finished = runner.go_on(resume, runner.wake, view)
        else:
            order = read_order(self.target, self.wishes)
            if order.waits_for_a_yes and resume is None:
                _run_with_yes(order, view, self.record, as_json=view.quiet, fail_over=self.fail_over)
                return
            order = replace(order, request=order.request.evolve(idempotency_key=key))
            yes = partial(_wanted, asks=self.asks)
            finished = runner.run(order, view, record=self.record, resuming=resume, yes=yes)
        finish(finished, as_json=view.quiet, out=view.out, job=resume, fail_over=self.fail_over)

    def again(self, every: str | None, watch: Path | None, resume: str | None) -> None:
        """Run it after each interval, or for each file that arrives, until somebody stops it."""
        from firstline.orchestrator.run import repeating
        from firstline.orchestrator.run.embedded import signals_interrupt
        from firstline.orchestrator.service.prune import read_age
        from firstline.schemas.errors import UserError

        if resume or (every and watch) or (watch and (self.wishes.input or self.wishes.sql)):
            raise UserError(
                "--every AGE and --watch FOLDER stand alone: without each other, --resume, and --input beside"
            )
        # Between two runs it is to be stopped as in one: a shell starts background jobs deaf to Ctrl-C.
        with signals_interrupt():
            if every:
                repeating.every(read_age(every, option="--every"), lambda: _told(self.once, None))
                return
            repeating.refuse_one_file(self.view.out)
            for arrival in repeating.arrivals(watch or Path(), what=f"{self.target} {self.wishes} {self.view}"):
                self._handle(arrival)

    def _handle(self, arrival: "Arrival") -> None:
        """Run it for a file, or go on with what an earlier watch began."""
        from firstline.orchestrator import api

        known = arrival.job
        if known is not None and api.status(known).state.ended:
            return
        view = replace(self.view, out=arrival.out(self.view.out))
        one = replace(self, view=view, wishes=replace(self.wishes, input=str(arrival.path)))
        _told(one.once, known, arrival.key)


def _told(act: Callable[..., None], *arguments: object) -> None:
    """Do something that is done again later: what does not go well is said, and ends nothing."""
    from firstline.orchestrator.run.runner import Interrupted
    from firstline.schemas.errors import FirstlineError

    try:
        act(*arguments)
    except Interrupted:
        raise
    except FirstlineError as error:
        typer.echo(str(error), err=True)
    except typer.Exit:
        return


def _wanted(doubt: str, *, asks: bool) -> bool:
    """Ask somebody who sits at a terminal; tell anybody else, and go on."""
    if asks and sys.stdin.isatty() and sys.stderr.isatty():
        return typer.confirm(f"{doubt}. Run it all the same?", err=True)
    typer.echo(doubt, err=True)
    return True


def _run_with_yes(order: "Order", view: "View", record: Path | None, *, as_json: bool, fail_over: float) -> None:
    from firstline.orchestrator.cli._plan import tell_it_waits, yes_to
    from firstline.orchestrator.cli._show import finish
    from firstline.orchestrator.run import plan_approval

    planned, finished = plan_approval.run_with_yes(order, view, yes_to(asking=True, as_json=as_json), record=record)
    if finished is None:
        tell_it_waits(planned.view.job)
        raise typer.Exit(1)
    finish(finished, as_json=as_json, out=view.out, fail_over=fail_over)
