"""What `run` and `submit` were asked for: a job file or a workflow, with the command line's wishes laid over it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.catalogue.jobfile import is_job_file, load_job
from firstline.config.drafts.draft import planning_workflow
from firstline.config.settings import get_settings
from firstline.orchestrator.submission.input_fit import InputFit, mapped
from firstline.orchestrator.submission.item_fields import FieldNeed, needs
from firstline.orchestrator.submission.item_reader import STDIN, InputItem, Items, counted, read_items, readable_twice
from firstline.orchestrator.submission.reading import told
from firstline.orchestrator.submission.remote_items import source_name, with_query
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest, Rerun
from firstline.schemas.jobfile import BaselineKind, JobFile, Tuning
from firstline.schemas.plan import Workflow
from firstline.schemas.tier import Profile, Service

SIMULATOR = "simulator"


@dataclass(frozen=True)
class Wishes:
    """What the command line says; None leaves it to the job file."""

    input: str | None = None
    profile: str | None = None
    limit: int | None = None
    budget_usd: float | None = None
    goal: str | None = None
    id_field: str | None = None
    #: Field -> column that it is taken from; laid over the job file's.
    map: Mapping[str, str] = field(default_factory=dict)
    #: A planner's plan waits for a yes.
    approve: bool = False
    #: The job is only looked at, so that it needs neither items nor answers to replay.
    preview: bool = False
    #: Rows that are as they were take over the answers that they have.
    since_last: bool = False
    #: A file with the query whose rows the items are; the input is the database's URL.
    sql: Path | None = None


@dataclass(frozen=True)
class Order:
    """One job to be submitted, with everything that it names found."""

    request: JobRequest
    profile: Profile
    #: None: a goal without items.
    source: str | None
    #: What people are told that the items are read from; the source itself when missing.
    source_name: str | None = None
    id_field: str | None = None
    limit: int | None = None
    #: None: it is found.
    encoding: str | None = None
    #: Field -> column that it is taken from.
    map: Mapping[str, str] = field(default_factory=dict)
    #: What is worth saying of the input, though nothing stands in the way.
    notes: tuple[str, ...] = ()
    baselines: tuple[BaselineKind, ...] = ()
    #: What a tuning does where its command line does not say.
    tune: Tuning = field(default_factory=Tuning)
    #: Folders of the user's own Python functions.
    functions: tuple[Path, ...] = ()
    #: The folder of skills, workflows and profiles that a job file lies in or names.
    home: Path | None = None
    #: Tells who waits how far the reading of the items is.
    told: Callable[[Iterable[InputItem], str], Iterable[InputItem]] = field(default=lambda items, _: items)

    @property
    def waits_for_a_yes(self) -> bool:
        """Whether a planner writes its plan, and a person wants to see it first."""
        return self.request.workflow is None and self.request.options.approve

    @contextmanager
    def checked(self) -> Iterator["Order"]:
        """Yield the order with an input that can be read again and again; UserError if any of it will not do.

        So is one of which not a single item brings the fields that every item needs.
        """
        if self.source is None:
            yield self
            return
        name = self.source_name or ("standard input" if self.source == STDIN else source_name(self.source))
        with readable_twice(self.source) as source:
            usable = replace(self, source=str(source), source_name=name)
            fit, items = InputFit(self.needs, self.map), usable._read()
            counted(self.told(fit.watch(mapped(items, self.map)), f"looking through {name}"))
            fit.refuse_misfit(name)
            yield replace(usable, notes=(*items.notes, *fit.notes()))

    @property
    def needs(self) -> tuple[FieldNeed, ...]:
        """What its workflow reads of every item; nothing is known of a goal's."""
        workflow = self.request.workflow
        if not isinstance(workflow, Workflow):
            return ()
        return needs(workflow, load_catalogue(tenant=self.request.options.tenant).parts(workflow).skills)

    def items(self) -> Iterable[InputItem]:
        """Return the items; a goal without input is an item of its own."""
        if self.source is None:
            return [InputItem("1", {"goal": self.request.goal})]
        return self.told(mapped(self._read(), self.map), f"reading {self.source_name or self.source}")

    def _read(self) -> Items:
        return read_items(
            str(self.source),
            name=self.source_name,
            id_field=self.id_field,
            limit=self.limit,
            encoding=self.encoding,
        )


def read_order(target: str | None, wishes: Wishes) -> Order:
    """Return the order for a job file, or for a workflow or skill by name or path, or for a goal alone."""
    if target is not None and wishes.goal is not None:
        raise UserError(f"expected a workflow or --goal, got both ('{target}' and a goal); leave one out")
    if target is None and wishes.goal is None:
        raise UserError("expected a job file, a workflow or --goal TEXT; `firstline workflows` lists the workflows")
    if target is not None and is_job_file(target):
        return _from_job_file(Path(target), wishes)
    return _from_workflow(target, wishes)


def _from_job_file(file: Path, wishes: Wishes) -> Order:
    job = load_job(file, profile=wishes.profile)
    spec = job.spec
    parts = job.catalogue.parts(job.workflow) if job.workflow else None
    # The job's own skills and tools travel with it: the folder they lie in is known here only.
    workflow = (
        job.workflow
        and parts
        and job.workflow.evolve(skills=tuple(parts.skills.values()), tools=tuple(parts.tools.values()))
    )
    order = Order(
        request=job.request.evolve(workflow=workflow),
        profile=job.profile,
        source=spec.input,
        id_field=spec.id_field,
        limit=spec.limit,
        encoding=spec.encoding,
        map=spec.map,
        baselines=spec.baselines,
        tune=spec.tune.evolve(input=str(file.parent.absolute() / spec.tune.input)) if spec.tune.input else spec.tune,
        functions=job.functions,
        home=Path(spec.home) if spec.home else file.parent.absolute(),
    )
    return _wished(order, wishes, spec.script)


def _from_workflow(target: str | None, wishes: Wishes) -> Order:
    catalogue = load_catalogue()
    if wishes.goal is not None:
        planning_workflow(wishes.goal)
    spec = JobFile(workflow=target, goal=wishes.goal)
    profile = catalogue.profile(wishes.profile or get_settings().profile)
    workflow = catalogue.workflow(target) if target is not None else None
    name = workflow.name if workflow else None
    request = JobRequest(workflow=workflow, goal=wishes.goal, name=name, options=spec.options(profile.name))
    order = Order(request, profile, None, functions=catalogue.functions)
    return _wished(order, wishes, None)


def _wished(order: Order, wishes: Wishes, script: str | None) -> Order:
    source = wishes.input or order.source
    if wishes.sql is not None:
        source = with_query(source, wishes.sql)
    if source is None and order.request.goal is None and not wishes.preview:
        raise UserError(
            "no items: give them with --input FILE (CSV, JSONL, a JSON array, a folder of text files, or - for "
            "standard input)"
        )
    options = order.request.options
    if wishes.budget_usd is not None:
        options = options.evolve(budget_usd=wishes.budget_usd)
    if wishes.since_last:
        options = options.evolve(rerun=Rerun.CHANGED)
    if wishes.approve:
        options = options.evolve(approve=True)
    profile = order.profile if wishes.preview else with_script(order.profile, script)
    request = order.request.evolve(options=options, profile=profile)
    return replace(
        order,
        request=request,
        profile=profile,
        source=source,
        limit=wishes.limit or order.limit,
        id_field=wishes.id_field or order.id_field,
        map={**order.map, **wishes.map},
        told=told,
    )


def with_script(profile: Profile, script: str | None) -> Profile:
    """Return the profile with the script that its simulator plays filled in."""
    return profile.evolve(services=tuple(_scripted(service, script, profile) for service in profile.services))


def _scripted(service: Service, script: str | None, profile: Profile) -> Service:
    if service.kind != SIMULATOR or service.source is not None:
        return service
    if script is None:
        raise UserError(
            f"profile '{profile.name}' replays recorded answers and no script is named; add `script: FILE` to the job "
            "file, or choose a profile with real models (`firstline tiers` lists them)"
        )
    return service.evolve(source=script)
