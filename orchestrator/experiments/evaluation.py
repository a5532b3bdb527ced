"""Two versions of a skill measured on the same held-out items; pure."""

from collections.abc import Mapping, Sequence

from firstline.orchestrator.core.statistics import Difference, paired_difference, weighted_difference
from firstline.orchestrator.experiments.comparison import share
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Frozen, Json
from firstline.schemas.comparison import Share
from firstline.schemas.errors import UserError
from firstline.workers.rules.json_paths import MISSING, Absent

#: Whether the old version was right on an item, and whether the new one is.
Outcome = tuple[bool, bool]


class Evaluation(Frozen):
    """The old and the new version on the same held-out items, answered by the lowest tier."""

    #: Of them, those that had failed before; half, where there are so many, whatever their share of all items.
    items: int
    failed: int = 0
    failed_share: float = 0.0
    model: str
    #: What right means: the gold field, or the model that answers are compared with.
    against: str
    #: Over the sample.
    old: Share
    new: Share
    #: Of the held-out items that the old version gets wrong and that had failed: how many the new one gets right.
    mended: Share | None = None
    #: New minus old over all items, with its 95% interval.
    difference: Difference
    said: str


def rights(
    held_out: Sequence[InputItem],
    truth: Truth,
    old: Mapping[str, Json | Absent],
    new: Mapping[str, Json | Absent],
    reference: Mapping[str, Json | Absent],
) -> list[Outcome]:
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


def evaluation(
    failed: Sequence[Outcome],
    others: Sequence[Outcome],
    truth: Truth,
    *,
    failed_share: float,
    model: str,
    against: str,
) -> Evaluation:
    """Return what (old right, new right) on items that had failed and on others say; UserError where there are none.

    `failed_share` of all items had failed: the sample has more of them, and the difference is weighed accordingly.
    """
    pairs = [*failed, *others]
    old, new = share([first for first, _ in pairs], truth), share([second for _, second in pairs], truth)
    found = _difference(failed, others, failed_share)
    if old is None or new is None or found is None:
        raise UserError("none of the held-out items could be scored; name their right answers with --gold FIELD")
    if truth.has_judge:
        found = through_judge(found, truth)
    mended = share([after for before, after in failed if not before], truth)
    told = f"; of {mended.of} held-out failures it mends {mended.right}" if mended else ""
    return Evaluation(
        items=len(pairs),
        failed=len(failed),
        failed_share=failed_share,
        model=model,
        against=against,
        old=old,
        new=new,
        mended=mended,
        difference=found,
        said=f"{verdict(found)}{told}",
    )


def _difference(failed: Sequence[Outcome], others: Sequence[Outcome], failed_share: float) -> Difference | None:
    """Return new minus old over all items, from a sample of either kind."""
    parts = [(part, weight) for part, weight in ((failed, failed_share), (others, 1 - failed_share)) if part]
    total = sum(weight for _, weight in parts)
    found = [(_paired(part), weight / total) for part, weight in parts if total]
    known = [(one, weight) for one, weight in found if one is not None]
    return weighted_difference(known) if known else None


def _paired(pairs: Sequence[Outcome]) -> Difference | None:
    only_old = sum(first and not second for first, second in pairs)
    only_new = sum(second and not first for first, second in pairs)
    return paired_difference(only_old, only_new, len(pairs))


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
