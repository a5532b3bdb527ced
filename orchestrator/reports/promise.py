"""What is certified for one job, and what is not: of the answers that it served, by the models that gave them."""

from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.reports.formatting import percent
from firstline.orchestrator.store import calibrations, job_figures
from firstline.schemas.plan import Plan, PlannedStep, step_of
from firstline.schemas.report import Promise, StepPromise
from firstline.schemas.tier import Profile


def promise_of(tx: Connection, *, job: str, plan: Plan, profile: Profile, tiers: Collection[str]) -> Promise:
    """Return what holds for a job's answers, step by step, as its plan and the calibrations stand now.

    `tiers` are those that the job was restricted to, none: all of its profile.
    """
    counted = job_figures.accepted_by(tx, job=job)
    thresholds = [one for planned in plan.steps for models in planned.thresholds.values() for one in models.values()]
    numbers = {one.calibration_id for one in thresholds if one.calibration_id is not None}
    drifted = calibrations.drifted(tx, numbers=numbers)
    top = profile.ladder[-1]
    reference = top.models[0].name if not tiers or top.name in tiers else None
    steps = tuple(
        _of_step(planned, [row for row in counted if step_of(row["step"]) == planned.step.name], reference, drifted)
        for planned in plan.steps
        if planned.step.skill and not planned.step.is_barrier
    )
    return Promise(reference=reference, steps=steps)


def _of_step(
    planned: PlannedStep, counted: Iterable[RowMapping], reference: str | None, drifted: Collection[int]
) -> StepPromise:
    by_reference = certified = 0
    uncertified: dict[str, int] = {}
    for row in counted:
        known = planned.threshold(row["tier"], row["model"])
        if known is not None and known.max_loss is not None:
            certified += row["answers"]
        elif row["model"] == reference:
            by_reference += row["answers"]
        else:
            uncertified[row["model"]] = uncertified.get(row["model"], 0) + row["answers"]
    tiers = [[one for one in models.values() if one.max_loss is not None] for models in planned.thresholds.values()]
    held = [one for models in tiers for one in models]
    return StepPromise(
        step=planned.step.name,
        # A tier's models take turns, tiers add up.
        max_loss=sum(max(one.max_loss or 0.0 for one in models) for models in tiers if models) if held else None,
        delta=min(1.0, sum(one.delta or 0.0 for one in held)) if held else None,
        by_reference=by_reference,
        certified=certified,
        uncertified=uncertified,
        drifted=any(one.calibration_id in drifted for one in held),
    )


def sentences(promise: Promise) -> Iterator[str]:
    """Yield the sentences that a report begins with: what is certified for this job, and what is not."""
    held = [one for one in promise.steps if one.max_loss is not None and not one.drifted]
    for one in held:
        step = f"step {one.step}: " if len(promise.steps) > 1 else ""
        yield (
            f"Certified: {step}with {1 - (one.delta or 0.0):.0%} confidence, at most {percent(one.max_loss)} of all "
            f"items are accepted wrong where {promise.reference} is right."
        )
    for one in promise.steps:
        if one.max_loss is not None and one.drifted:
            yield f"Certified no more: audits found that step {one.step} loses more than is borne; calibrate it again."
    if not held and all(not one.uncertified for one in promise.steps):
        return
    if not held:
        yield "Nothing is certified for this job; `firstline calibrate` says what can be."
    for one in promise.steps:
        for model, answers in one.uncertified.items():
            share = (
                f"{percent(answers / one.answers)} of the answers of step {one.step} ({answers:,} of {one.answers:,})"
            )
            yield f"Not certified: {share} came from {model}, for which nothing is certified."
