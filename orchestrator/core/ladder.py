"""What an item does next, given what its subtasks have come to: pure, and the heart of judging."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple, assert_never

from firstline.orchestrator.core.subtask_names import base_of
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.batch import ItemTrail, Left, progress_of
from firstline.schemas.job import ItemState
from firstline.schemas.plan import GATHERED, Plan, PlannedStep, step_of, subtask_label
from firstline.schemas.states import ENDED_SUBTASKS, SubtaskState
from firstline.schemas.verdict import Defer, DeferCause, Escalate, Refer, Reject, Review
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.policy import LATE
from firstline.workers.rules.step_graph import applies, gathered, ready, unfolded
from firstline.workers.rules.step_inputs import Unfit, resolve

#: States in which a subtask has ended.
ENDED = ENDED_SUBTASKS


class Sub(NamedTuple):
    """A subtask's standing; the columns of its row."""

    step: str
    tier: str
    #: open, deferred, paused, waiting (to be asked anew in its turn), referred, review, settled, skipped, failed
    state: SubtaskState = SubtaskState.OPEN
    n: int = 0
    used: int = 0
    faults: int = 0
    referrals: int = 0
    value: Json = None
    #: Tier of the answer that it had before it was asked anew, which is its value meanwhile.
    kept_tier: str | None = None
    feedback: tuple[str, ...] = ()
    effort: str | None = None
    instruction: str | None = None
    reason: str | None = None
    batch: str | None = None
    #: Seconds until a deferred subtask comes back; its row has the time instead.
    wait_s: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it settled, was skipped or failed."""
        return self.state in ENDED

    @property
    def begun(self) -> bool:
        """Whether it was asked; one that waits to be asked anew has not begun."""
        return self.state != SubtaskState.WAITING


@dataclass(frozen=True)
class Standing:
    """An item after a step of judging."""

    subs: Mapping[str, Sub]
    #: Names of the subtasks that this judging changed.
    changed: frozenset[str] = frozenset()
    state: ItemState = ItemState.PENDING
    reason: str | None = None
    #: Whether everything that the segment asks of the item is done.
    through: bool = False
    #: tier -> steps that can be asked now and that no batch holds.
    todo: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def record(
    subs: Mapping[str, Sub], trail: ItemTrail, *, ladder: tuple[str, ...], tier: str, plan: Plan | None = None
) -> dict[str, Sub]:
    """Return the subtasks after a worker's trail; what has ended stays as it is.

    What climbs passes by the tiers that the plan's routes leave out.
    """
    steps = {planned.step.name: planned for planned in plan.steps} if plan is not None else {}
    after = dict(subs)
    for settled in trail.settled:
        known = after.get(settled.step, Sub(settled.step, tier))
        if not known.ended:
            planned = steps.get(settled.step)
            state = SubtaskState.SKIPPED if settled.skipped else SubtaskState.SETTLED
            by = tier if planned is None or planned.step.for_each is None else GATHERED
            n = settled.n + 1
            after[settled.step] = known._replace(
                state=state, tier=by, n=n, value=settled.value, kept_tier=None, batch=None
            )
    for left in trail.left:
        known = after.get(left.step, Sub(left.step, tier))
        if not known.ended:
            planned = steps.get(step_of(left.step))
            way = planned.ladder_of(trail.item, ladder) if planned else ladder
            if tier not in ladder and planned is not None and isinstance(left.verdict, Escalate):
                way = (tier, *_from_below(planned, left.verdict, trail.item, ladder))
            after[left.step] = _leave(known, left, ladder=way if tier in way else ladder, tier=tier)
    return after


def _from_below(planned: PlannedStep, verdict: Escalate, item: int, ladder: tuple[str, ...]) -> tuple[str, ...]:
    """Return the way of what a student leaves: where it would have started, or straight to the top."""
    return ladder[-1:] if verdict.to_top else ladder[ladder.index(planned.first_on(item, ladder)) :]


def _leave(known: Sub, left: Left, *, ladder: tuple[str, ...], tier: str) -> Sub:
    sub = known._replace(tier=tier, reason=left.verdict.reason, batch=None, wait_s=None, **progress_of(left))
    match left.verdict:
        case Escalate():
            return climb(sub, ladder=ladder)
        case Refer():
            return sub._replace(state=SubtaskState.REFERRED)
        case Review():
            return sub._replace(state=SubtaskState.REVIEW)
        case Reject(reason=reason):
            return sub._replace(state=SubtaskState.FAILED, reason=reason)
        case Defer() as defer:
            return _defer(sub, defer)
        case _:
            assert_never(left.verdict)


def climb(sub: Sub, *, ladder: tuple[str, ...]) -> Sub:
    """Return the subtask on the next tier, or failed when there is none."""
    above = ladder[ladder.index(sub.tier) + 1 :] if sub.tier in ladder else ()
    if not above:
        return sub._replace(state=SubtaskState.FAILED)
    # The effort was raised for a weaker model; the stronger one begins afresh, with the feedback. What timed out for
    # the item's own sake goes along.
    faults = sub.faults // LATE * LATE
    return sub._replace(state=SubtaskState.OPEN, tier=above[0], used=0, faults=faults, effort=None)


def keep_earlier(subs: Mapping[str, Sub]) -> dict[str, Sub]:
    """Return the subtasks with those settled as they were before that were asked anew in vain."""
    return {
        name: _as_before(sub) if sub.state == SubtaskState.FAILED and sub.kept_tier else sub
        for name, sub in subs.items()
    }


def _as_before(sub: Sub) -> Sub:
    reason = f"asked anew in vain ({sub.reason}); its earlier answer stands"
    return sub._replace(state=SubtaskState.SETTLED, tier=sub.kept_tier or sub.tier, kept_tier=None, reason=reason)


def _defer(sub: Sub, defer: Defer) -> Sub:
    match defer.cause:
        case DeferCause.STOPPING | DeferCause.BULK:
            return sub._replace(state=SubtaskState.OPEN)
        case DeferCause.BUDGET if defer.wait_s == 0:
            return sub._replace(state=SubtaskState.PAUSED)
        case DeferCause.CANCELLED:
            return sub._replace(state=SubtaskState.PAUSED)
        case DeferCause.BUDGET | DeferCause.LIMIT | DeferCause.NO_MODEL | DeferCause.BUDGET_UNKNOWN:
            return sub._replace(state=SubtaskState.DEFERRED, wait_s=defer.wait_s)
        case _:
            assert_never(defer.cause)


def stand(
    subs: Mapping[str, Sub],
    *,
    before: Mapping[str, Sub],
    plan: Plan,
    segment: int,
    item: JsonObject,
    context: Mapping[str, Json] | None = None,
    start: Callable[[PlannedStep], str] = attrgetter("start_tier"),
) -> Standing:
    """Return where an item stands: failed, waiting for a person, through with the segment, or with what to ask next.

    `context` holds what steps of the whole job answered; `start` says on which tier the item begins a step.
    """
    subs = _closed(dict(subs), plan=plan, segment=segment, item=item, context=context or {})
    subs |= _awake(subs, plan=plan, segment=segment, start=start)
    steps = plan.segment(segment)
    # What was asked about a subtask may fail; that the subtask itself fails of it says the subtask.
    failed = next(
        (sub for sub in subs.values() if sub.state == SubtaskState.FAILED and base_of(sub.step) is None), None
    )
    changed = frozenset(name for name, sub in subs.items() if before.get(name) != sub)
    if failed is not None:
        reason = failed.reason or "rejected"
        alone = len(plan.steps) == 1 and failed.step == plan.steps[0].step.name
        text = reason if alone else f"step '{subtask_label(failed.step)}': {reason}"
        return Standing(subs, changed, ItemState.FAILED, text)
    if all(planned.step.name in subs and subs[planned.step.name].ended for planned in steps):
        return Standing(subs, changed, through=True)
    asked: Sequence[PlannedStep] = steps
    if any(planned.step.for_each is not None for planned in steps):
        asked = unfolded(steps, item=item, settled=_values(subs, context or {}), ended=_ended(subs))
    todo = _todo(subs, asked, within=steps, start=start)
    review = any(sub.state == SubtaskState.REVIEW for sub in subs.values())
    flying = todo or any(
        sub.state in (SubtaskState.OPEN, SubtaskState.DEFERRED, SubtaskState.REFERRED) for sub in subs.values()
    )
    state = ItemState.REVIEW if review and not flying else ItemState.PENDING
    why = next((sub.reason for sub in subs.values() if sub.state == SubtaskState.REVIEW), None) if review else None
    names = frozenset(name for names in todo.values() for name in names)
    return Standing(subs, changed | names, state, why, todo=todo)


def _closed(
    subs: dict[str, Sub], *, plan: Plan, segment: int, item: JsonObject, context: Mapping[str, Json]
) -> dict[str, Sub]:
    """Settle what nobody is asked for: steps that do not apply, lists of which every element has its answer."""
    listed = [planned for planned in plan.segment(segment) if planned.step.for_each is not None]
    while True:
        subs = _skip(subs, plan=plan, segment=segment, item=item, context=context)
        if not listed:
            return subs
        turn = ready(listed, ended=_ended(subs), begun=subs.keys(), within=plan.segment(segment))
        made = {one.step.name: sub for one in turn if (sub := _gathered(one, subs, item, context)) is not None}
        if not made:
            return subs
        subs |= made


def _gathered(
    planned: PlannedStep, subs: Mapping[str, Sub], item: JsonObject, context: Mapping[str, Json]
) -> Sub | None:
    answered = {name for name, sub in subs.items() if sub.ended and sub.state != SubtaskState.FAILED}
    found = gathered(planned, item=item, settled=_values(subs, context), ended=answered)
    sub = Sub(planned.step.name, GATHERED)
    match found:
        case None:
            return None
        case Unfit(reason=reason):
            return sub._replace(state=SubtaskState.FAILED, reason=reason)
        case list():
            return sub._replace(state=SubtaskState.SETTLED, value=found)


def _ended(subs: Mapping[str, Sub]) -> set[str]:
    return {name for name, sub in subs.items() if sub.ended}


def _values(subs: Mapping[str, Sub], context: Mapping[str, Json]) -> dict[str, Json]:
    return {**context, **{name: sub.value for name, sub in subs.items() if sub.state == SubtaskState.SETTLED}}


def _skip(
    subs: dict[str, Sub], *, plan: Plan, segment: int, item: JsonObject, context: Mapping[str, Json]
) -> dict[str, Sub]:
    """Settle as skipped what is ready and does not apply, again until nothing changes."""
    if all(planned.step.when is None for planned in plan.segment(segment)):
        return subs
    while True:
        values, ended = _values(subs, context), _ended(subs)
        skipped = {name for name, sub in subs.items() if sub.state == SubtaskState.SKIPPED}
        idle = [
            planned
            for planned in ready(plan.segment(segment), ended=ended, begun=_begun(subs))
            if not applies(planned, item=item, settled=values, skipped=skipped)
        ]
        if not idle:
            return subs
        for planned in idle:
            known = subs.get(planned.step.name) or Sub(planned.step.name, planned.start_tier)
            subs[planned.step.name] = known._replace(state=SubtaskState.SKIPPED)


def _begun(subs: Mapping[str, Sub]) -> set[str]:
    return {name for name, sub in subs.items() if sub.begun}


def _awake(subs: Mapping[str, Sub], *, plan: Plan, segment: int, start: Callable[[PlannedStep], str]) -> dict[str, Sub]:
    """Return those of the subtasks to be asked anew whose turn has come, open on their first tier."""
    if all(sub.begun for sub in subs.values()):
        return {}
    turn = ready(plan.segment(segment), ended=_ended(subs), begun=_begun(subs))
    return {
        planned.step.name: subs[planned.step.name]._replace(state=SubtaskState.OPEN, tier=start(planned), batch=None)
        for planned in turn
        if planned.step.name in subs
    }


def _todo(
    subs: Mapping[str, Sub],
    steps: Sequence[PlannedStep],
    *,
    within: Sequence[PlannedStep],
    start: Callable[[PlannedStep], str],
) -> dict[str, tuple[str, ...]]:
    fresh = ready(steps, ended=_ended(subs), begun=subs.keys(), within=within)
    found: dict[str, tuple[str, ...]] = {}
    for planned in fresh:
        found[start(planned)] = (*found.get(start(planned), ()), planned.step.name)
    for sub in subs.values():
        if sub.state == SubtaskState.OPEN and sub.batch is None:
            found[sub.tier] = (*found.get(sub.tier, ()), sub.step)
    return found


def output(plan: Plan, *, item: JsonObject, values: Mapping[str, Json]) -> Json:
    """Return an item's result as the plan's `output` says."""
    if isinstance(plan.output, str):
        return values.get(plan.output)
    found = {name: resolve(reference, item, values) for name, reference in plan.output.items()}
    return {name: None if value is MISSING else value for name, value in found.items()}
