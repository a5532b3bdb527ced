"""An expression over the answer and the item is true."""

from firstline.schemas.base import Json
from firstline.schemas.check import Expression
from firstline.workers.checks.subject import Subject
from firstline.workers.rules.expressions import evaluate


def reason(spec: Expression, value: Json, subject: Subject) -> str | None:
    """Say that the expression is false, or why it has no value; `answer` is what the check's field leads to."""
    outcome = evaluate(spec.expression, {"answer": value, "item": subject.item})
    if outcome.error:
        return outcome.error
    return None if outcome.holds else f"`{spec.expression}` is not true"
