"""A comparison of models that goes on by itself: begun here, answered by the workers, looked at when it is done."""

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from firstline.config.catalogue.catalogue import Catalogue, load_catalogue
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.own_files import NONE_YET, Draft, as_written, draft, save_own
from firstline.orchestrator import api
from firstline.orchestrator.experiments.compare import PURPOSE, compare_profile, laid_out, pick, read_run
from firstline.orchestrator.experiments.trials import trial_request
from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.orchestrator.run.runner import Crew
from firstline.orchestrator.store import item_lists, jobs, views
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Frozen, JsonObject
from firstline.schemas.comparison import Comparison
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest, JobStatus
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

#: Items of one comparison: it is shown as a whole.
MOST_ITEMS = 500


#: Jobs that are looked through for a list of comparisons, and the keys of those that were begun side by side.
_LISTED_JOBS = 60
_KEY = re.compile(rf"{PURPOSE}:([0-9a-f]{{12}}):\d{{3}}")


class SideBySide(Frozen):
    """A comparison and how far it is."""

    id: str
    #: A job for each model, in the order they were named.
    jobs: tuple[JobStatus, ...]
    models: tuple[str, ...]
    workflow: str
    #: None: not all of its jobs have ended.
    result: Comparison | None = None


def begin(request: JobRequest, items: Sequence[InputItem], *, models: Sequence[str], profile: Profile) -> str:
    """Have each model answer the items alone, side by side; return the comparison's id. UserError: unknown models."""
    if not isinstance(request.workflow, Workflow):
        raise UserError("expected a workflow or a skill to compare models on, got a goal; name the workflow")
    usable = [item for item in items if item.error is None][:MOST_ITEMS]
    if not usable:
        raise UserError("none of the items can be read; give at least one object with the workflow's fields")
    catalogue = load_catalogue(tenant=request.options.tenant)
    ladder = compare_profile(profile, models)
    workflow = on_its_own(request.workflow, catalogue.parts(request.workflow).skills)
    order = Order(request, ladder, None, functions=catalogue.functions)
    name = secrets.token_hex(6)
    for number, tier in enumerate(ladder.ladder):
        trial = trial_request(
            order, workflow, Crew(ladder), tier=tier.name, purpose=PURPOSE, key=f"{PURPOSE}:{name}:{number:03}"
        )
        api.submit(trial, usable, folders=order.functions)
    return name


def look(name: str, *, laid: bool = True) -> SideBySide | None:
    """Return a comparison, laid side by side once all its jobs have ended; None where there is none of that id.

    Without `laid`, only how far it is.
    """
    steering = api.engine()
    with steering.db.reading() as tx:
        ids = views.with_key_prefix(tx, prefix=f"{PURPOSE}:{name}:")
        statuses = tuple(jobs.status(tx, job=job) for job in ids)
        parsed = [steering.job(tx, job) for job in ids]
    if not ids:
        return None
    models = tuple(job.tier(job.options.tiers[0]).models[0].name for job in parsed)
    result = None
    if laid and all(status.state.ended for status in statuses):
        runs = [read_run(job, model) for job, model in zip(ids, models, strict=True)]
        result = laid_out(runs, _inputs(ids[0]), plan=parsed[0].plan, folders=tuple(map(Path, parsed[0].folders)))
    return SideBySide(id=name, jobs=statuses, models=models, workflow=parsed[0].plan.workflow, result=result)


def listing(*, tenant: str | None) -> list[SideBySide]:
    """Return the newest comparisons of a tenant, or of all, newest first; without what came out."""
    with api.engine().db.reading() as tx:
        keys = views.keys_of(tx, purpose=PURPOSE, tenant=tenant, limit=_LISTED_JOBS)
    names = dict.fromkeys(found[1] for key in keys if (found := _KEY.fullmatch(key)))
    return [one for name in names if (one := look(name, laid=False)) is not None]


def _inputs(job: str) -> dict[str, JsonObject]:
    with api.engine().db.reading() as tx:
        return {row["item_id"]: row["input"] for row in item_lists.items(tx, job=job, limit=MOST_ITEMS)}


def chosen_model(catalogue: Catalogue, *, skill: str, profile: str, model: str) -> tuple[str, tuple[Draft, ...]]:
    """Return the tier of a model, and the user's own files that let a skill start there and the tier ask it first.

    Nothing is written; files that need no change are left out. UserError: unknown names, a model of no tier.
    """
    ladder = catalogue.profile(profile)
    if model not in [one.name for one in ladder.models]:
        raise UserError(f"profile '{profile}' has no model '{model}'; add it to a tier first")
    name = pick(ladder, model)[0].name
    drafts = []
    written = as_written(catalogue, FileKind.PROFILE, profile, Profile)
    assert isinstance(written, Profile)
    tier = next(one for one in written.tiers if one.name == name)
    first = sorted(tier.models, key=lambda one: one.name != model)
    if tier.models != (ordered := tuple(first)):
        tiers = tuple(one.evolve(models=ordered) if one.name == name else one for one in written.tiers)
        drafts.append(draft(catalogue, FileKind.PROFILE, written.evolve(tiers=tiers)))
    known = as_written(catalogue, FileKind.SKILL, skill, Skill)
    assert isinstance(known, Skill)
    if known.policy.start != name:
        moved = known.evolve(policy=known.policy.evolve(start=name))
        drafts.append(draft(catalogue, FileKind.SKILL, moved))
    return name, tuple(drafts)


def choose_model(
    catalogue: Catalogue, *, skill: str, profile: str, model: str, by: str, versions: Mapping[str, str] | None = None
) -> str:
    """Write the files of `chosen_model` and return the tier.

    `versions`: name -> the version that `by` was shown; None: whatever is there is written over.
    """
    tier, drafts = chosen_model(catalogue, skill=skill, profile=profile, model=model)
    for one in drafts:
        version = versions.get(one.name, NONE_YET) if versions is not None else None
        save_own(catalogue, one.kind, one.name, one.new, by=by, version=version)
    return tier
