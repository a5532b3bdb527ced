"""A job file: everything about one run in one place, so that `firstline run examples/x/job.yaml` needs nothing more."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from firstline.schemas.base import Frozen
from firstline.schemas.job import Moment, Options, Priority, Rerun
from firstline.schemas.plan import Quality, Workflow
from firstline.schemas.tier import Profile


class BaselineKind(StrEnum):
    """What a run is compared with, on the same items."""

    #: The lowest tier alone.
    CHEAP = "cheap"
    #: The top tier alone.
    FRONTIER = "frontier"
    #: Each item to the top tier or the lowest by chance, at the share that the run itself sent up.
    RANDOM = "random"


class Tuning(Frozen):
    """What `firstline tune` does with a job where its command line does not say."""

    #: The rows that it looks at; the job's own input when missing.
    input: str | None = None
    #: Rows looked at, and labels bought, at most.
    rows: int | None = Field(default=None, gt=1)
    labels: int = Field(default=200, gt=0, le=10_000)
    max_loss: float = Field(default=0.05, gt=0, lt=1)
    #: Answers of the top model that a cheaper one is tried with as worked examples in its prompt; 0: it is not.
    examples: int = Field(default=6, ge=0, le=20)


class JobFile(Frozen):
    """A job as a file; relative paths stand for files beside it."""

    name: str | None = Field(default=None, min_length=1, max_length=100)
    description: str = ""
    #: Name of a workflow or skill, path of one, or a workflow itself.
    workflow: str | Workflow | None = None
    #: What is wanted, in plain words, where no workflow is named: the planner model writes the plan.
    goal: str | None = Field(default=None, min_length=1, max_length=20_000)
    #: CSV, JSONL or JSON file, folder of text files, or `-` for standard input.
    input: str | None = None
    #: Input field with each item's id; `id`, else the position when missing.
    id_field: str | None = None
    #: Encoding of the input, such as `windows-1252`; found when missing.
    encoding: str | None = Field(default=None, max_length=40)
    #: Field that the workflow reads -> column of the input that it is taken from.
    map: dict[str, str] = Field(default_factory=dict)
    #: Only the first so many items.
    limit: int | None = Field(default=None, gt=0)
    #: Name or path of a ladder, or a ladder itself; the setting FIRSTLINE_PROFILE when missing.
    profile: str | Profile | None = None
    #: Folder with the job's own `skills/`, `workflows/`, `tiers/` and `tools/`; the job file's folder when missing.
    home: str | None = None
    #: Folder of the job's own Python functions; `functions/` in `home` when missing.
    functions: str | None = None
    #: What the profile's simulator plays, where its service names no source.
    script: str | None = None
    #: How outputs are scored; wins over the workflow's own.
    quality: Quality | None = None
    #: What the report compares the run with; each is measured on the same items, so it costs money of its own.
    baselines: tuple[BaselineKind, ...] = ()
    budget_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    priority: Priority = Priority.NORMAL
    deadline: Moment | None = None
    tenant: str = Field(default="default", min_length=1)
    cache: bool = False
    dedupe: bool = True
    rerun: Rerun = Rerun.ALL
    #: Only these tiers of the ladder.
    tiers: tuple[str, ...] = ()
    webhook_url: str | None = None
    #: Tools that the planner of the goal may choose, besides those that their declarations grant.
    tools: tuple[str, ...] = ()
    #: Wait for a person's yes to the planner's plan.
    approve: bool = False
    tune: Tuning = Tuning()

    @model_validator(mode="after")
    def _one_task(self) -> Self:
        if (self.workflow is None) == (self.goal is None):
            came = "neither" if self.goal is None else "both"
            raise ValueError(f"expected `workflow:` (a name, a path or steps) or `goal:` (plain words), got {came}")
        if len(set(self.baselines)) != len(self.baselines):
            raise ValueError("baselines: each may stand once")
        return self

    def options(self, profile: str) -> Options:
        """Return the job's options, with the name of the profile it runs on."""
        shared = self.model_dump(include=set(Options.model_fields) & set(JobFile.model_fields) - {"profile"})
        return Options(profile=profile, **shared)
