"""Which steps of a segment an item can take next."""

from collections.abc import Collection, Mapping

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.plan import PlannedStep
from firstline.workers.rules.expressions import holds


def ready(steps: Collection[PlannedStep], *, ended: Collection[str], begun: Collection[str]) -> list[PlannedStep]:
    """Return the steps whose dependencies within the segment have ended and that have not begun themselves."""
    names = {planned.step.name for planned in steps}
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
