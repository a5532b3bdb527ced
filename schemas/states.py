"""States of what a job is made of, each with the moves that it may make; `docs/architecture.md` draws them."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any


class SubtaskState(StrEnum):
    """Where one step of one item stands."""

    #: To be asked, or asked just now.
    OPEN = "open"
    #: To be asked again since a checkpoint sent its step back; its earlier answer is kept beside it.
    WAITING = "waiting"
    #: Until a limit allows it or a model is up again.
    DEFERRED = "deferred"
    #: The orchestrator model is asked what to do.
    REFERRED = "referred"
    #: A person is asked.
    REVIEW = "review"
    #: Over a budget, or its job was paused.
    PAUSED = "paused"
    SETTLED = "settled"
    #: Its condition did not hold.
    SKIPPED = "skipped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether it is asked no more, unless somebody retries it."""
        return self in ENDED_SUBTASKS


ENDED_SUBTASKS = frozenset({SubtaskState.SETTLED, SubtaskState.SKIPPED, SubtaskState.FAILED})


class ShardState(StrEnum):
    """Where the items of one part of a segment stand."""

    #: Nothing of it was sent.
    WAITING = "waiting"
    #: It may be cut into batches.
    RELEASED = "released"
    #: Its batches are on their way.
    CUT = "cut"
    #: It holds no place in the window any more: nothing of it goes out by itself.
    PASSED = "passed"
    #: None of its items is open.
    CLOSED = "closed"


class BatchState(StrEnum):
    """Where a message to a tier stands."""

    #: Waits for its tier's next provider batch, then travels in one.
    FILLING = "filling"
    HANDED_IN = "handed_in"
    #: To be sent.
    READY = "ready"
    SENT = "sent"
    #: Its trail is on record.
    JUDGED = "judged"
    #: Its subtasks go on without it.
    DROPPED = "dropped"


_S, _H, _B = SubtaskState, ShardState, BatchState
_ASKED = frozenset({_S.OPEN, _S.DEFERRED, _S.REFERRED, _S.REVIEW, _S.PAUSED, _S.SETTLED, _S.SKIPPED, _S.FAILED})

#: What each state may become; a compare-and-set that asks for another move is a bug.
SUBTASK_MOVES: Mapping[SubtaskState, frozenset[SubtaskState]] = {
    _S.OPEN: _ASKED,
    _S.WAITING: frozenset({_S.OPEN, _S.SETTLED, _S.SKIPPED}),
    _S.DEFERRED: _ASKED,
    _S.REFERRED: frozenset({_S.OPEN, _S.REVIEW, _S.SETTLED, _S.FAILED}),
    _S.REVIEW: frozenset({_S.OPEN, _S.SETTLED, _S.FAILED}),
    _S.PAUSED: frozenset({_S.OPEN}),
    # A checkpoint sends a step back, or a person retries it.
    _S.SETTLED: frozenset({_S.WAITING, _S.OPEN}),
    _S.SKIPPED: frozenset({_S.WAITING, _S.OPEN}),
    # An earlier answer stands, a step that need not succeed is skipped, or a person retries it.
    _S.FAILED: frozenset({_S.SETTLED, _S.SKIPPED, _S.OPEN}),
}
SHARD_MOVES: Mapping[ShardState, frozenset[ShardState]] = {
    _H.WAITING: frozenset({_H.RELEASED, _H.CLOSED}),
    _H.RELEASED: frozenset({_H.CUT, _H.PASSED, _H.CLOSED, _H.WAITING}),
    _H.CUT: frozenset({_H.PASSED, _H.CLOSED, _H.WAITING}),
    _H.PASSED: frozenset({_H.CLOSED, _H.WAITING}),
    _H.CLOSED: frozenset(),
}
BATCH_MOVES: Mapping[BatchState, frozenset[BatchState]] = {
    _B.FILLING: frozenset({_B.HANDED_IN, _B.DROPPED}),
    _B.HANDED_IN: frozenset({_B.READY, _B.FILLING, _B.DROPPED}),
    _B.READY: frozenset({_B.SENT, _B.JUDGED, _B.DROPPED}),
    # Sent again, or collected again where its paid answers are gone.
    _B.SENT: frozenset({_B.SENT, _B.HANDED_IN, _B.JUDGED, _B.DROPPED}),
    _B.JUDGED: frozenset(),
    # A trail may come after all.
    _B.DROPPED: frozenset({_B.JUDGED}),
}


def refuse_move(moves: Mapping[Any, frozenset[Any]], *, to: str, among: Collection[str]) -> None:
    """Raise ValueError where a compare-and-set asks for a move that no state `among` these may make."""
    wrong = [state for state in among if to not in moves[state]]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} may not become {to}")
