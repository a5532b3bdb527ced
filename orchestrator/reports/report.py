"""The report: what a job cost beside the top tier alone, how fast it was, how good, and where models failed."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from firstline.config.catalogue.answer_fields import uncompared
from firstline.config.providers.prices import price_of
from firstline.orchestrator.core.statistics import wilson
from firstline.orchestrator.reports.frontier_alone import frontier_alone
from firstline.orchestrator.reports.lane_figures import lanes_of
from firstline.orchestrator.reports.model_stats import error_rate, errors_of
from firstline.orchestrator.reports.promise import promise_of
from firstline.orchestrator.reports.scripted import scripted_notes
from firstline.orchestrator.store import items, job_figures, jobs, takeovers
from firstline.schemas.estimate import Estimate
from firstline.schemas.job import Options
from firstline.schemas.plan import Plan
from firstline.schemas.report import ModelLine, Percentiles, Promise, QualityScore, Report, SkillLine
from firstline.schemas.tier import Price, Profile, Tier
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.scoring import score


def make_report(tx: Connection, *, job: str) -> Report:
    """Return the report of a job as it stands."""
    row, status = jobs.get(tx, job=job), jobs.status(tx, job=job)
    profile = Profile.model_validate(row["profile"])
    lines = job_figures.by_model(tx, job=job)
    quality, latency = _over_items(tx, row)
    top = profile.ladder[-1].models[0]
    price = price_of(top)
    plan = Plan.model_validate(row["plan"]) if row["plan"] else None
    baseline = frontier_alone(job_figures.answers_once(tx, jobs=[job]), plan, profile)
    cost_usd, audit_usd = sum(line["cost_usd"] for line in lines), job_figures.audit_cost(tx, job=job)
    models = _models(tx, job, lines)
    taken_over, taken_over_usd = takeovers.taken(tx, job=job)
    unpriced = sum(line["attempts"] - line["priced"] for line in lines)
    ended = status.settled + status.failed
    cached = [line for line in lines if line["from_cache"]]
    return Report(
        job=job,
        name=row["name"],
        state=row["state"],
        reason=row["reason"],
        items=status.items,
        settled=status.settled,
        failed=status.failed,
        review=status.review,
        cancelled=status.cancelled,
        # What nobody knows a single figure of is unknown, not 0.
        cost_usd=None if lines and not any(line["priced"] for line in lines) else cost_usd,
        unpriced_attempts=unpriced,
        baseline_cost_usd=baseline,
        audit_cost_usd=audit_usd,
        saving=None if not baseline else 1 - (cost_usd + audit_usd) / baseline,
        saving_without_audits=None if not baseline else 1 - cost_usd / baseline,
        cost_per_item_usd=(cost_usd + audit_usd) / status.settled if status.settled else None,
        escalation_rate=status.escalated / status.settled if status.settled else None,
        error_rate_by_model={line.model: line.error_rate for line in models},
        latency_s=latency,
        quality=quality,
        models=models,
        skills=_skills(lines, profile.student),
        lanes=lanes_of(lines),
        by_tier=status.by_tier,
        failures=job_figures.failures(tx, job=job),
        cache_hits=sum(line["attempts"] for line in cached),
        cache_saved_usd=sum(line["saved_usd"] for line in cached),
        duplicates=job_figures.duplicates(tx, job=job),
        taken_over=taken_over,
        taken_over_usd=taken_over_usd,
        wall_s=items.latency_s(row),
        estimate=None if row["estimate"] is None else Estimate.model_validate(row["estimate"]),
        promise=_promise(tx, row, profile),
        notes=(*_notes(unpriced, price, ended, status.items), *_silent(plan), *scripted_notes(profile)),
    )


def _promise(tx: Connection, row: RowMapping, profile: Profile) -> Promise | None:
    """Return what is certified for a job that was asked for in earnest, once it has a plan."""
    if row["plan"] is None or row["purpose"] != "run":
        return None
    tiers = Options.model_validate(row["options"]).tiers
    return promise_of(tx, job=row["id"], plan=Plan.model_validate(row["plan"]), profile=profile, tiers=tiers)


def _notes(unpriced: int, price: Price | None, ended: int, count: int) -> tuple[str, ...]:
    notes = []
    if unpriced:
        notes.append(f"{unpriced} attempts are of unknown cost (no price, or no usage came back) and not in the sum")
    if price is None:
        notes.append("no baseline: the top tier's model has no price; give it one in the profile (`price:`)")
    if ended < count:
        notes.append(f"{count - ended} of {count} items have not ended as settled or failed")
    return tuple(notes)


def _silent(plan: Plan | None) -> list[str]:
    """Return, of steps that are audited or calibrated without gold, which fields nobody compares."""
    if plan is None or plan.quality is not None:
        return []
    claiming = [one for one in plan.steps if one.step.skill and (one.policy.audit_share or one.thresholds)]
    silent = {one.step.name: uncompared(plan.skills[one.step.skill or ""]) for one in claiming}
    return [
        f"{step}: nobody compares {', '.join(fields)}, so that audits and calibrations say nothing of it; declare "
        "`compare:` in the skill"
        for step, fields in silent.items()
        if fields
    ]


def _models(tx: Connection, job: str, lines: Sequence[RowMapping]) -> tuple[ModelLine, ...]:
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for model, tier, latency_s in job_figures.latencies(tx, job=job):
        seconds[model, tier].append(latency_s)
    grouped: dict[tuple[str, str], list[RowMapping]] = defaultdict(list)
    for line in lines:
        grouped[line["model"], line["tier"]].append(line)
    return tuple(_model(model, tier, group, seconds[model, tier]) for (model, tier), group in sorted(grouped.items()))


def _model(model: str, tier: str, lines: Sequence[RowMapping], seconds: Sequence[float]) -> ModelLine:
    errors: dict[str, int] = defaultdict(int)
    for line in lines:
        if line["error"] is not None:
            errors[line["error"]] += line["attempts"]
    attempts = sum(line["attempts"] for line in lines)
    wrong, unanswered = errors_of(errors)
    priced = sum(line["priced"] for line in lines)
    # What the response cache answered used no tokens.
    called = [line for line in lines if not line["from_cache"]]
    return ModelLine(
        model=model,
        tier=tier,
        attempts=attempts,
        accepted=sum(line["attempts"] for line in lines if line["verdict"] == "accept"),
        errors=dict(errors),
        wrong=wrong,
        unanswered=unanswered,
        error_rate=error_rate(attempts, wrong, unanswered),
        input_tokens=sum(line["input_tokens"] for line in called),
        cached_tokens=sum(line["cached_tokens"] for line in called),
        cache_write_tokens=sum(line["cache_write_tokens"] for line in called),
        output_tokens=sum(line["output_tokens"] for line in called),
        cost_usd=sum(line["cost_usd"] for line in lines) if priced else None,
        latency_s=percentiles(seconds),
    )


def _skills(lines: Sequence[RowMapping], student: Tier | None) -> tuple[SkillLine, ...]:
    grouped: dict[str, list[RowMapping]] = defaultdict(list)
    for line in lines:
        if line["skill"]:
            grouped[line["skill"]].append(line)
    own = student.name if student is not None else None
    return tuple(_skill(skill, group, own) for skill, group in sorted(grouped.items()))


def _skill(skill: str, lines: Sequence[RowMapping], student: str | None) -> SkillLine:
    answers = [line for line in lines if line["purpose"] == "answer"]
    errors: Counter[str] = Counter()
    for line in answers:
        if line["error"] is not None:
            errors[line["error"]] += line["attempts"]
    wrong, unanswered = errors_of(errors)
    accepted = [line for line in answers if line["verdict"] == "accept"]
    tasks = sum(line["attempts"] for line in accepted)
    by_student = sum(line["attempts"] for line in accepted if line["tier"] == student)
    cost_usd = sum(line["cost_usd"] for line in lines) if any(line["priced"] for line in lines) else None
    paid = tasks - by_student
    return SkillLine(
        skill=skill,
        tasks=tasks,
        calls=sum(line["attempts"] for line in lines),
        wrong=wrong,
        unanswered=unanswered,
        error_rate=error_rate(sum(line["attempts"] for line in answers), wrong, unanswered),
        cost_usd=cost_usd,
        cost_per_task_usd=cost_usd / tasks if cost_usd is not None and tasks else None,
        by_student=by_student,
        student_saved_usd=by_student * cost_usd / paid if cost_usd is not None and by_student and paid else None,
    )


def _over_items(tx: Connection, row: RowMapping) -> tuple[QualityScore | None, Percentiles]:
    """Return the quality and the latency of a job's items, in one pass over them."""
    quality = Plan.model_validate(row["plan"]).quality if row["plan"] else None
    folders = tuple(Path(folder) for folder in row["folders"])
    scores: list[float] = []
    unsettled = 0
    seconds: list[float] = []
    for item in job_figures.ended_items(tx, job=row["id"]):
        if item["same_as"] is None and (latency_s := items.latency_s(item)) is not None:
            seconds.append(latency_s)
        if quality is None:
            continue
        settled = item["state"] == "settled"
        said = score(quality, item["output"] if settled else MISSING, item["input"], folders=folders)
        if said is not None and settled:
            scores.append(said)
        elif said is not None and item["state"] == "failed":
            unsettled += 1
    return _quality(quality.compare if quality else "", scores, unsettled), percentiles(seconds)


def _quality(compare: str, scores: Sequence[float], failed: int) -> QualityScore | None:
    if not scores and not failed:
        return None
    total = sum(scores)
    counted = all(one in (0.0, 1.0) for one in scores)
    # The figure that is shown, and its interval, speak of the same items: those that failed count as 0.
    interval = wilson(round(total), len(scores) + failed) if counted else None
    return QualityScore(
        score=total / len(scores) if scores else 0.0,
        items=len(scores),
        compare=compare,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        score_all=total / (len(scores) + failed),
    )


def percentiles(seconds: Iterable[float]) -> Percentiles:
    """Return p50, p95 and p99 by the nearest rank."""
    ranked = sorted(seconds)
    if not ranked:
        return Percentiles()
    p50, p95, p99 = (ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)] for share in (0.5, 0.95, 0.99))
    return Percentiles(p50=p50, p95=p95, p99=p99)
