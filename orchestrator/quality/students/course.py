"""A student's course through a job: when it is trained again, and from which margin it may answer just now."""

from dataclasses import dataclass

import numpy as np

from firstline.orchestrator.quality.students.promise import StudentPromise
from firstline.orchestrator.quality.students.training import HeldOut

#: Labels at which a student is first trained: this share of the job's items, within bounds.
_FIRST_SHARE = 0.06
_FIRST = (200, 800)
#: It is trained again when labels have grown by this factor, while enough items are left for it to matter.
_GROWTH = 1.6
_WORTH_WHILE = 0.05
#: Share of the catches left that the rest of the job is steered to; the last one would stop the student.
_PACE = 0.8
#: How many catches the held-out record weighs as much as, where the two disagree on how often the student is wrong.
_TRUST = 8.0


@dataclass(frozen=True)
class Ledger:
    """What has become of a job's items and of its student's audits."""

    #: Items of the whole job, and how many have been answered or are out to be.
    items: int
    begun: int
    #: Audits that found the student wrong, and audits whose answer is still out: each may be a catch.
    caught: int = 0
    pending: int = 0
    #: Catches that the held-out records foresaw for what was answered so far.
    foreseen: float = 0.0


def is_due(labels: int, *, trained_on: int | None, items: int, begun: int) -> bool:
    """Say whether a student is to be trained (again): labels are there, and items that it could answer."""
    if items - begun <= _WORTH_WHILE * items:
        return False
    least, most = _FIRST
    first = min(most, max(least, round(_FIRST_SHARE * items)))
    return labels >= (first if trained_on is None else _GROWTH * trained_on)


@dataclass(frozen=True)
class Standard:
    """From which margin a student answers, and the share of items that it is foreseen to answer wrong then."""

    #: None: it answers nothing.
    margin: float | None
    loss: float = 0.0


def standard(held_out: HeldOut, ledger: Ledger, promise: StudentPromise) -> Standard:
    """Return the lowest margin at which the catches to come will likely stay below those that are left.

    Only the promise's count of catches guarantees anything; this keeps a job from running into it.
    """
    left = promise.most_caught - ledger.caught - ledger.pending
    rest = ledger.items - ledger.begun
    if left <= 0 or rest <= 0:
        return Standard(None)
    correction = (_TRUST + ledger.caught) / (_TRUST + ledger.foreseen)
    bearable = _PACE * left / promise.audit_share / rest
    losses = correction * held_out.losses()
    last = int(np.searchsorted(losses, bearable, side="right")) - 1
    return Standard(float(held_out.margins[last]), float(losses[last] / correction)) if last >= 0 else Standard(None)
