"""A tuning applied: the profile with the chosen models, and the calibrations that let them answer."""

from firstline.config.catalogue.catalogue import Catalogue, load_catalogue
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.own_files import ChangedMeanwhile, Draft, draft, save_own
from firstline.config.catalogue.yaml_text import rewritten
from firstline.orchestrator import api
from firstline.orchestrator.experiments.prompt_versions import find_skill, keep, next_version, take
from firstline.orchestrator.experiments.tune import tried_profile
from firstline.orchestrator.experiments.tune_report import KeptTuning, StepTuned, TuneReport, TuningOrigin
from firstline.orchestrator.reports.formatting import count
from firstline.orchestrator.store import calibrations
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import CalibrationRow
from firstline.schemas.errors import UserError
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile, TierKind

#: How the thresholds were found.
METHOD = "tune-two-stage"
#: Who wrote the profile.
BY = "firstline tune"


def apply_tuning(found: KeptTuning, *, by: str = BY, versions: dict[str, str] | None = None) -> list[str]:
    """Write what was certified, and say where; nothing where nothing was.

    `versions`: path of a file -> the version that `by` was shown; None: whatever is there is written over.
    ChangedMeanwhile: it is another. UserError: the tuned skill is another by now.
    """
    certified = [step for step in found.report.steps if step.model]
    if not certified:
        return ["nothing was written: nothing is certified"]
    drafts = tuning_drafts(found)
    if versions is not None:
        _refuse_changed(drafts, versions)
    origin = _origin(found)
    catalogue = load_catalogue(tenant=origin.tenant)
    written = []
    for step in certified:
        skill = origin.skill(step.skill)
        if step.examples:
            skill, file = with_examples(step, catalogue)
            written.append(f"prompt: {file} (version {skill.version}, with {count(len(step.examples), 'example')})")
        _store(origin, step, skill, found.report)
    profile = drafts[0]
    written.append(f"profile: {save_own(catalogue, FileKind.PROFILE, profile.name, profile.new, by=by)}")
    kept = f"{count(len(certified), 'calibration')} stored; every job with these models uses them"
    return [*written, kept, f"run it: firstline run {found.report.workflow} --profile {profile.name}"]


def tuning_drafts(found: KeptTuning) -> list[Draft]:
    """Return the files that applying a tuning writes: its profile, then the prompts with examples; none is written.

    UserError: nothing is certified, or a skill is another than the one that was tuned.
    """
    certified = [step for step in found.report.steps if step.model]
    if not certified:
        raise UserError("nothing is certified, so there is nothing to apply; the top model stands")
    origin = _origin(found)
    catalogue = load_catalogue(tenant=origin.tenant)
    for step in certified:
        _refuse_another(catalogue, origin, step)
    profile = draft(catalogue, FileKind.PROFILE, tuned_profile(origin, found.report.workflow, certified))
    return [profile, *(_prompt(catalogue, step) for step in certified if step.examples)]


def _origin(found: KeptTuning) -> TuningOrigin:
    if found.origin is None:
        raise UserError(f"tuning {found.number} was made by an earlier version; tune again, its answers last a day")
    return found.origin


def _refuse_another(catalogue: Catalogue, origin: TuningOrigin, step: StepTuned) -> None:
    """Raise a UserError where a skill of the catalogue is not what was certified any more."""
    # A job file's folder has skills of its own.
    ours = step.skill in catalogue.skills.entries and (step.examples or origin.home is None)
    if ours and catalogue.skill(step.skill).digest != origin.skill(step.skill).digest:
        raise UserError(
            f"skill '{step.skill}' is another now than the one that was tuned: nothing is certified of it; tune again"
        )


def _refuse_changed(drafts: list[Draft], versions: dict[str, str]) -> None:
    for one in drafts:
        if versions.get(str(one.file)) != one.version:
            message = f"{one.file.name} was changed since you looked; nothing was written"
            raise ChangedMeanwhile(message, version=one.version, difference=one.difference)


def with_examples(step: StepTuned, catalogue: Catalogue | None = None) -> tuple[Skill, str]:
    """Make a version of a step's skill live that shows the examples it was certified with; what was live is kept.

    UserError: the skill stands in no file of its own.
    """
    found = find_skill(step.skill, catalogue)
    new = found.skill.evolve(examples=(*found.skill.examples, *step.examples), version=next_version(found))
    keep(found, new)
    return new, take(found, new.version).file


def _prompt(catalogue: Catalogue, step: StepTuned) -> Draft:
    """Return the skill's file as `with_examples` makes it."""
    found = find_skill(step.skill, catalogue)
    new = found.skill.evolve(examples=(*found.skill.examples, *step.examples), version=next_version(found))
    old = found.file.read_text("utf-8")
    text = rewritten(old, found.skill, new)
    return Draft(FileKind.SKILL, step.skill, found.live, None if found.built_in else old, text)


def tuned_profile(origin: TuningOrigin, workflow: str, certified: list[StepTuned]) -> Profile:
    """Return the profile that was tuned with the certified models below its top one, the cheapest first."""
    profile = origin.profile
    chosen = {step.model for step in certified}
    tools = [tier for tier in profile.tiers if tier.kind is TierKind.TOOLS]
    below = [tier for tier in tried_profile(profile).ladder[:-1] if tier.models[0].name in chosen]
    top = profile.ladder[-1]
    return profile.evolve(
        name=f"{workflow}-tuned",
        description=f"Found by `firstline tune {workflow}`.",
        tiers=(*tools, *below, top.evolve(models=top.models[:1])),
    )


def _store(origin: TuningOrigin, step: StepTuned, skill: Skill, found: TuneReport) -> None:
    if step.signal is None:
        # Without a signal its answers are taken on their checks alone, as the policy has it.
        return
    row = CalibrationRow(
        tenant=origin.tenant,
        skill=skill.name,
        skill_version=skill.version,
        skill_digest=skill.digest,
        cheap_model=step.model or "",
        frontier_model=step.top_model,
        signal=step.signal,
        max_loss=found.max_loss,
        gold=found.gold,
        home=origin.home,
        created_at=now(),
        method=METHOD,
        # Every usable answer: no value of a signal lies below 0.
        threshold=step.threshold if step.threshold is not None else 0.0,
        labels_used=step.labels,
        expected_frontier_share=step.climbing or 0.0,
        certified_max_loss=found.max_loss,
        delta=found.delta,
    )
    with api.engine().db.writing() as tx:
        calibrations.insert(tx, row=row)
