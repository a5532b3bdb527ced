"""Which of a skill's signals is calibrated, or a combination of them, where it has several."""

import random
from collections import Counter
from collections.abc import Sequence

from firstline.orchestrator.experiments.labelling import Labelling, Row
from firstline.orchestrator.quality.calibration.combination import ChosenSignal, choose_signal
from firstline.workers.rules.combined_signal import LENGTHS

#: Share of a model's answers that a signal has to have a value of, to be weighed against others.
_SPEAKS = 0.9


def signals_of(rows: Sequence[Row]) -> list[str]:
    """Return the signals that speak of nearly all answers, in the order of the skill's."""
    answers = [row.answer.confidence for row in rows if row.answer.confidence is not None]
    counted = Counter(name for sure in answers for name in sure.known)
    return [name for name, count in counted.items() if name not in LENGTHS and count >= _SPEAKS * len(answers)]


def split(rows: Sequence[Row], labels: int, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Return the answers that the choice of a signal learns from, at random, and those that certify."""
    able = [row for row in rows if row.answer.confidence is not None]
    drawn = random.Random(seed).sample(able, min(labels, len(able)))
    taken = {row.item_id for row in drawn}
    return drawn, [row for row in rows if row.item_id not in taken]


def chosen_signal(learning: Sequence[Row], labelling: Labelling, names: Sequence[str]) -> ChosenSignal:
    """Return the signal to calibrate, by labels that are bought for this alone."""
    known = [row.answer.confidence.known for row in learning if row.answer.confidence is not None]
    whole = [at for at, values in enumerate(known) if all(name in values for name in names)]
    rows = [learning[at] for at in whole]
    free = {at: labelling.free(row) for at, row in enumerate(rows)}
    bought = [row for at, row in enumerate(rows) if free[at] is None]
    lost = iter(labelling.buy(bought) if bought else [])
    flags = [bool(free[at]) if free[at] is not None else next(lost) for at in range(len(rows))]
    return choose_signal([known[at] for at in whole], flags, names)
