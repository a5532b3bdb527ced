"""Answers of earlier jobs that still stand: the same content, the same skill and models, certificates as they were."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from firstline.orchestrator.plans.compile import ladder_of
from firstline.orchestrator.store import takeovers
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Json, JsonObject, digest
from firstline.schemas.errors import UserError
from firstline.schemas.job import Options, Rerun
from firstline.schemas.plan import Plan
from firstline.schemas.tier import Profile, TierKind

#: Jobs that are looked back over. What one took over counts as its own, so that the last whole one would do.
_JOBS = 50
_AT_ONCE = 1000
_DIGITS = 32
#: What a policy says that changes no answer.
_NO_ANSWER = {"audit_share", "on_drift", "max_loss"}


def content_of(fields: JsonObject) -> str:
    """Return a digest of what an item says; its id says nothing."""
    return digest({name: value for name, value in fields.items() if name != "id"}, length=_DIGITS)


def answers_one_by_one(plan: Plan) -> bool:
    """Whether no item is seen beside another: only then may an item have the answer of an equal one."""
    return plan.segments == 1 and not plan.adapt and not plan.steps[0].step.is_barrier


def recipe_of(plan: Plan, profile: Profile, *, tiers: tuple[str, ...], folders: Sequence[Path]) -> str:
    """Return a digest of all that shapes the answers of a job, but for what is certified of its models."""
    steps = {
        one.step.name: [
            one.step.model_dump(mode="json", exclude={"why", "policy"}),
            one.policy.model_dump(mode="json", exclude=_NO_ANSWER),
        ]
        for one in plan.steps
    }
    ladder = ladder_of(profile, tiers)
    models = {
        tier.name: [[one.name, one.params] for one in tier.models] for tier in profile.rungs if tier.name in ladder
    }
    skills = {name: [one.digest, [each.label for each in one.confidence]] for name, one in plan.skills.items()}
    tools = {name: one.model_dump(mode="json") for name, one in plan.tools.items()}
    return digest([steps, skills, tools, plan.output, ladder, models, _functions(folders)], length=_DIGITS)


def _functions(folders: Sequence[Path]) -> list[str]:
    """Return the digests of the user's own functions: checks and tools are made of them."""
    files = (file for folder in folders for file in sorted(folder.rglob("*.py")))
    return [digest(file.read_text("utf-8", errors="replace"), length=_DIGITS) for file in files]


def of_job(plan: Plan, profile: Profile, options: Options, folders: Sequence[Path]) -> "EarlierAnswers | None":
    """Return the answers that a job of this plan may take over; None where no item's answer stands for itself.

    UserError where that was asked for all the same.
    """
    if not answers_one_by_one(plan):
        if options.rerun is Rerun.CHANGED:
            raise UserError(
                "rerun: changed (--since-last) takes over the answers of rows that are as they were, but this workflow "
                "has steps that see all items together; leave it out"
            )
        return None
    recipe = recipe_of(plan, profile, tiers=options.tiers, folders=folders)
    students = frozenset(tier.name for tier in profile.tiers if tier.kind is TierKind.STUDENT)
    ladder = tuple(name for name in ladder_of(profile, options.tiers) if name not in students)
    return EarlierAnswers(plan, recipe, ladder, students, options.tenant, options.purpose)


@dataclass(frozen=True)
class EarlierAnswers:
    """The answers that a job may take over."""

    plan: Plan
    recipe: str
    ladder: tuple[str, ...]
    #: Tiers of students: what they promise, they promise of one job.
    students: frozenset[str]
    tenant: str
    purpose: str

    def find(self, tx: Connection, digests: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return content -> (job, item) for those of which the newest answer still stands."""
        upheld = self._upheld(tx)
        found: dict[str, tuple[str, int]] = {}
        places = {job: place for place, job in enumerate(upheld)}
        rows = takeovers.settled(tx, jobs=list(upheld), digests=digests) if upheld else []
        for content, job, n, tier in sorted(rows, key=lambda row: places[row[1]]):
            if tier in upheld[job] or tier not in self.students.union(self.ladder):
                found.setdefault(content, (job, n))
        return found

    def fresh(self, tx: Connection, items: Iterable[InputItem]) -> Iterator[InputItem]:
        """Yield the items that have to be answered."""
        rest = iter(items)
        while chunk := list(islice(rest, _AT_ONCE)):
            contents = [content_of(one.input) for one in chunk]
            known = self.find(tx, contents)
            yield from (one for one, content in zip(chunk, contents, strict=True) if content not in known)

    def _upheld(self, tx: Connection) -> dict[str, frozenset[str]]:
        """Return job -> the tiers whose accepted answers are certified today as they were then, newest job first."""
        rows = takeovers.jobs_of(tx, recipe=self.recipe, tenant=self.tenant, purpose=self.purpose, limit=_JOBS)
        for job, plan in rows:
            if job not in self._known:
                self._known[job] = self._as_they_were(Plan.model_validate(plan))
        return {job: self._known[job] for job, _ in rows}

    @cached_property
    def _known(self) -> dict[str, frozenset[str]]:
        return {}

    def _as_they_were(self, earlier: Plan) -> frozenset[str]:
        """Return the tiers up to which nothing that is certified has changed; of one step alone, each for itself."""
        same = [tier for tier in self.ladder if _certified(earlier, tier) == _certified(self.plan, tier)]
        if len(self.plan.steps) == 1:
            return frozenset(same)
        # An item's tier is the highest of its steps'; the others were answered below it.
        return frozenset(
            tier for place, tier in enumerate(self.ladder) if same[: place + 1] == list(self.ladder[: place + 1])
        )


def _certified(plan: Plan, tier: str) -> Mapping[str, Json]:
    return {
        one.step.name: {name: known.model_dump(mode="json") for name, known in one.thresholds.get(tier, {}).items()}
        for one in plan.steps
    }
