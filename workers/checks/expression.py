"""An expression over the answer and the item is true."""

from schemas.base import Json
from schemas.check import Expression
from workers.checks.subject import Subject
from workers.conditions import evaluate


def reason(spec: Expression, value: Json, subject: Subject) -> str | None:
    """Say that the expression is false, or why it has no value; `answer` is what the check's field leads to."""
    outcome = evaluate(spec.expression, {"answer": value, "item": subject.item})
    if outcome.error:
        return outcome.error
    return None if outcome.holds else f"`{spec.expression}` is not true"
