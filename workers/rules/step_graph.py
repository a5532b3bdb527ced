"""Which steps of a segment an item can take next, those over the elements of a list among them."""

from collections.abc import Collection, Mapping, Sequence

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.plan import PlannedStep
from firstline.workers.rules.expressions import holds
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.step_inputs import Unfit, resolve


def ready(
    steps: Collection[PlannedStep],
    *,
    ended: Collection[str],
    begun: Collection[str],
    within: Collection[PlannedStep] | None = None,
) -> list[PlannedStep]:
    """Return the steps whose dependencies within the segment have ended and that have not begun themselves.

    `within`: all of the segment, where `steps` are some of it.
    """
    names = {planned.step.name for planned in (steps if within is None else within)}
    return [
        planned
        for planned in steps
        if planned.step.name not in begun
        and planned.step.name not in ended
        and all(name in ended or name not in names for name in planned.step.after)
    ]


def applies(
    planned: PlannedStep, *, item: JsonObject, settled: Mapping[str, Json], skipped: Collection[str] = ()
) -> bool:
    """Return whether the step's `when` holds for this item; a condition that cannot be evaluated does not."""
    return planned.step.when is None or holds(planned.step.when, item, settled, skipped).holds


def elements(planned: PlannedStep, *, item: JsonObject, settled: Mapping[str, Json]) -> Sequence[PlannedStep] | Unfit:
    """Return the subtasks of a step over a list, one an element, or why there are none."""
    reference, most = planned.step.for_each or "", planned.step.at_most
    found = resolve(reference, item, settled)
    if found is MISSING or found is None:
        return Unfit(reason=f"for_each: the list `{reference}` is {'missing' if found is MISSING else 'empty'}")
    if not isinstance(found, list):
        return Unfit(reason=f"for_each: expected `{reference}` to be a list, got {_KINDS.get(type(found), 'a value')}")
    if len(found) > most:
        return Unfit(
            reason=f"for_each: `{reference}` has {len(found):,} elements, the step takes at most {most}; raise its "
            "`at_most`, or split the item"
        )
    return [planned.element(number) for number in range(len(found))]


_KINDS = {str: "a text", dict: "an object", bool: "yes or no", int: "a number", float: "a number"}


def unfolded(
    steps: Collection[PlannedStep], *, item: JsonObject, settled: Mapping[str, Json], ended: Collection[str]
) -> list[PlannedStep]:
    """Return the steps with those over a list, once what they wait for has ended, as one for each element.

    What has not come so far, and what cannot be unfolded, is left out: neither can be asked.
    """
    names = {planned.step.name for planned in steps}
    found: list[PlannedStep] = []
    for planned in steps:
        if planned.step.for_each is None:
            found.append(planned)
        elif all(name in ended or name not in names for name in planned.step.after) and planned.step.name not in ended:
            made = elements(planned, item=item, settled=settled)
            found += [] if isinstance(made, Unfit) else made
    return found


def gathered(
    planned: PlannedStep, *, item: JsonObject, settled: Mapping[str, Json], ended: Collection[str]
) -> list[Json] | Unfit | None:
    """Return the answers of a list's elements in order, why there are none, or None while some have not ended."""
    made = elements(planned, item=item, settled=settled)
    if isinstance(made, Unfit):
        return made
    names = [one.step.name for one in made]
    return [settled.get(name) for name in names] if all(name in ended for name in names) else None
