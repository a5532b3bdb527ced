"""Dynamic routing: a cheap classifier chooses the branch, and each branch's steps apply to its own items only."""

from collections.abc import Mapping, Sequence

from firstline.schemas.base import Json
from firstline.schemas.plan import Step, StepKind


def route(router: Step, branches: Mapping[str, Sequence[Step]], *, field: str | None = "label") -> tuple[Step, ...]:
    """Return the steps of a router and its branches, label -> steps; a step's own `when` holds besides.

    `field` is where the router's answer has the label, None where the answer is the label itself. An answer with
    another label fails its checks: it is tried again, climbs, and at last ends that item alone.
    """
    where = f"{router.name}.{field}" if field else router.name
    options: dict[str, Json] = {**router.options, "labels": list(branches), "field": field}
    first = router.evolve(kind=StepKind.ROUTE, options=options)
    return (first, *(_on(step, f"{where} == {label!r}") for label, steps in branches.items() for step in steps))


def _on(step: Step, condition: str) -> Step:
    return step.evolve(when=f"({condition}) and ({step.when})" if step.when else condition)
