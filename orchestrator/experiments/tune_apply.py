"""`firstline tune --apply`: the profile with the chosen models, and the calibrations that let them answer."""

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.own_files import save_own
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator import api
from firstline.orchestrator.experiments.prompt_versions import find_skill, keep, next_version, take
from firstline.orchestrator.experiments.tune import StepTuned, TuneReport, TuningPlan
from firstline.orchestrator.store import calibrations
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import CalibrationRow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile, TierKind

#: How the thresholds were found.
METHOD = "tune-two-stage"
#: Who wrote the profile.
BY = "firstline tune"


def apply_tuning(prepared: TuningPlan, found: TuneReport) -> list[str]:
    """Write what was certified, and say where; nothing where nothing was."""
    certified = [step for step in found.steps if step.model]
    if not certified:
        return ["nothing was written: nothing is certified"]
    written = []
    for step in certified:
        skill = prepared.plan.skills[step.skill]
        if step.examples:
            skill, file = with_examples(step)
            written.append(f"prompt: {file} (version {skill.version}, with {len(step.examples)} examples)")
        _store(prepared, step, skill, found)
    profile = tuned_profile(prepared, certified)
    written.append(f"profile: {save_own(load_catalogue(), FileKind.PROFILE, profile.name, as_yaml(profile), by=BY)}")
    kept = f"{len(certified)} calibration{'s' * (len(certified) != 1)} stored; every job with these models uses them"
    return [*written, kept, f"run it: firstline run {found.workflow} --profile {profile.name}"]


def with_examples(step: StepTuned) -> tuple[Skill, str]:
    """Make a version of a step's skill live that shows the examples it was certified with; what was live is kept.

    UserError: the skill stands in no file of its own.
    """
    found = find_skill(step.skill)
    new = found.skill.evolve(examples=(*found.skill.examples, *step.examples), version=next_version(found))
    keep(found, new)
    return new, take(found, new.version).file


def tuned_profile(prepared: TuningPlan, certified: list[StepTuned]) -> Profile:
    """Return the order's profile with the certified models below its top one, the cheapest first."""
    profile = prepared.order.profile
    chosen = {step.model for step in certified}
    tools = [tier for tier in profile.tiers if tier.kind is TierKind.TOOLS]
    below = [tier for tier in prepared.profile.ladder[:-1] if tier.models[0].name in chosen]
    top = profile.ladder[-1]
    return profile.evolve(
        name=f"{prepared.workflow.name}-tuned",
        description=f"Found by `firstline tune {prepared.workflow.name}`.",
        tiers=(*tools, *below, top.evolve(models=top.models[:1])),
    )


def _store(prepared: TuningPlan, step: StepTuned, skill: Skill, found: TuneReport) -> None:
    if step.signal is None:
        # Without a signal its answers are taken on their checks alone, as the policy has it.
        return
    row = CalibrationRow(
        tenant=prepared.order.request.options.tenant,
        skill=skill.name,
        skill_version=skill.version,
        skill_digest=skill.digest,
        cheap_model=step.model or "",
        frontier_model=step.top_model,
        signal=step.signal,
        max_loss=found.max_loss,
        gold=found.gold,
        home=str(prepared.order.home) if prepared.order.home else None,
        job="tune",
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
