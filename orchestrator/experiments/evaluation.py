"""Two versions of a skill measured on the same held-out items; pure."""

from collections.abc import Mapping, Sequence

from firstline.orchestrator.core.statistics import Difference, paired_difference
from firstline.orchestrator.experiments.comparison import share
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Frozen, Json
from firstline.schemas.comparison import Share
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_paths import MISSING, Absent


class Evaluation(Frozen):
    """The old and the new version on the same held-out items, answered by the lowest tier."""

    items: int
    model: str
    #: What right means: the gold field, or the model that answers are compared with.
    against: str
    old: Share
    new: Share
    #: New minus old, with its 95% interval.
    difference: Difference
    said: str


def rights(
    held_out: Sequence[InputItem],
    truth: Truth,
    old: Mapping[str, Json | Absent],
    new: Mapping[str, Json | Absent],
    reference: Mapping[str, Json | Absent],
) -> list[tuple[bool, bool]]:
    """Return (old right, new right) for each item that can be told; a failed answer is wrong."""
    pairs = []
    for item in held_out:
        before, after = (_score(truth, item, answers, reference) for answers in (old, new))
        if before is not None and after is not None:
            pairs.append((before >= 1, after >= 1))
    return pairs


def _score(
    truth: Truth, item: InputItem, answers: Mapping[str, Json | Absent], reference: Mapping[str, Json | Absent]
) -> float | None:
    answer = answers.get(item.item_id, MISSING)
    if truth.quality:
        return truth.score(answer, item.input)
    return truth.agreement(answer, reference.get(item.item_id, MISSING))


def evaluation(pairs: Sequence[tuple[bool, bool]], truth: Truth, *, model: str, against: str) -> Evaluation:
    """Return what the pairs (old right, new right) say; UserError where there are none."""
    old, new = share([first for first, _ in pairs], truth), share([second for _, second in pairs], truth)
    only_old = sum(first and not second for first, second in pairs)
    only_new = sum(second and not first for first, second in pairs)
    found = paired_difference(only_old, only_new, len(pairs))
    if old is None or new is None or found is None:
        raise UserError("none of the held-out items could be scored; name their right answers with --gold FIELD")
    if truth.has_judge:
        found = through_judge(found, truth)
    said = verdict(found)
    return Evaluation(items=len(pairs), model=model, against=against, old=old, new=new, difference=found, said=said)


def through_judge(found: Difference, truth: Truth) -> Difference:
    """Return the difference of two versions from that of what a judge calls right.

    The same errors on both shrink a difference d to d (1 - miss - alarm), and leave its sign: the interval is taken at
    the corners of the errors' own bounds, and says nothing where the judge may be no better than a coin.
    """
    box = truth.error.box(1 - found.level)
    least = 1 - box.miss_high - box.alarm_high
    most = 1 - (box.miss_low if truth.judge_alone else 0.0) - box.alarm_low
    if least <= 0:
        return Difference(estimate=found.estimate, low=-1.0, high=1.0, level=found.level)
    low = found.low / (most if found.low >= 0 else least)
    high = found.high / (least if found.high >= 0 else most)
    return Difference(estimate=found.estimate, low=max(-1.0, low), high=min(1.0, high), level=found.level)


def verdict(found: Difference) -> str:
    """Return what an interval of the difference allows to say."""
    figures = f"{100 * found.estimate:+.1f} points, 95% interval {100 * found.low:+.1f} to {100 * found.high:+.1f}"
    if found.low > 0:
        return f"better: {figures}"
    if found.high < 0:
        return f"worse: {figures}"
    return f"no clear difference: {figures}; more --labels would narrow it"
