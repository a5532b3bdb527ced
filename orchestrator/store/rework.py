"""Going back: what has ended is asked anew, or corrected."""

from collections.abc import Sequence

from sqlalchemy import Connection, case, update

from firstline.orchestrator.store.tables import ItemRow, SubtaskRow
from firstline.schemas.base import Json
from firstline.schemas.job import ItemState
from firstline.schemas.states import SubtaskState

_item = ItemRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]

#: Numbers in one `IN (...)`.
_AT_ONCE = 500


def ask_anew(
    tx: Connection,
    *,
    job: str,
    numbers: Sequence[int],
    steps: Sequence[str],
    feedback: Sequence[str] = (),
    keep: bool = False,
) -> None:
    """Let subtasks that have ended be asked again when what they wait for has ended; attempts go on being counted.

    `keep`: where no answer comes of it, the earlier one stands.
    """
    earlier = (
        {"kept_tier": case((_subtask.c.state == SubtaskState.SETTLED, _subtask.c.tier))} if keep else {"value": None}
    )
    for at in range(0, len(numbers), _AT_ONCE):
        query = update(_subtask).where(
            _subtask.c.job == job,
            _subtask.c.item.in_(numbers[at : at + _AT_ONCE]),
            _subtask.c.step.in_(steps),
            _subtask.c.state.in_((SubtaskState.SETTLED, SubtaskState.SKIPPED)),
        )
        again = query.values(
            state=SubtaskState.WAITING, used=0, faults=0, batch=None, feedback=list(feedback), effort=None
        )
        tx.execute(again.values(**earlier))


def go_back(tx: Connection, *, job: str, numbers: Sequence[int], segment: int) -> None:
    """Let open items take a segment again."""
    for at in range(0, len(numbers), _AT_ONCE):
        query = update(_item).where(
            _item.c.job == job,
            _item.c.n.in_(numbers[at : at + _AT_ONCE]),
            _item.c.state == ItemState.PENDING.value,
            _item.c.segment > segment,
        )
        tx.execute(query.values(segment=segment))


def correct(tx: Connection, *, job: str, item: int, step: str, value: Json) -> None:
    """Replace the value of a subtask that has settled."""
    query = update(_subtask).where(
        _subtask.c.job == job,
        _subtask.c.item == item,
        _subtask.c.step == step,
        _subtask.c.state == SubtaskState.SETTLED,
    )
    tx.execute(query.values(value=value))


def set_output(tx: Connection, *, job: str, item: int, output: Json) -> None:
    """Replace an open item's result."""
    query = update(_item).where(_item.c.job == job, _item.c.n == item, _item.c.state == ItemState.PENDING.value)
    tx.execute(query.values(output=output))


def replace_answer(tx: Connection, *, job: str, item: int, step: str, value: Json, tier: str) -> None:
    """Let another answer, of a model of `tier`, stand for a subtask that has ended."""
    query = update(_subtask).where(_subtask.c.job == job, _subtask.c.item == item, _subtask.c.step == step)
    tx.execute(query.values(state=SubtaskState.SETTLED, value=value, tier=tier, kept_tier=None, reason=None))


def replace_result(tx: Connection, *, job: str, item: int, output: Json, tier: str | None, climbed: bool) -> None:
    """Replace the result of an item that has ended; it has settled by that."""
    query = update(_item).where(_item.c.job == job, _item.c.n == item)
    tx.execute(query.values(state=ItemState.SETTLED.value, output=output, tier=tier, climbed=climbed, reason=None))
