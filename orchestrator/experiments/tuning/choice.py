"""Which candidate to certify: the one that will likely cost least where its loss can still be certified.

Successive halving on the same rows: all candidates answer a first part; those that are clearly dearer than the best
one answer no more. The others are tried once more with some of the top model's answers as worked examples in their
prompts; rows that are shown there weigh no candidate. What certifies later must be rows that the choosing did not see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from firstline.orchestrator.experiments.tuning.answers import Answers, Bools, Floats, Ints, Source
from firstline.orchestrator.experiments.tuning.loss_model import learn
from firstline.orchestrator.quality.calibration.bounds import critical_count
from firstline.orchestrator.quality.calibration.threshold import Target

#: Share of the labels that the choosing uses; the rest certifies what was chosen.
CHOOSING = 0.2
#: Fewest labels to choose with.
FEWEST = 12
#: Rows without a label that are looked at for each label of the choosing.
UNLABELLED = 10
#: Share of the rows that may be spent on looking.
LOOKING = 1 / 3
#: Of the labels that choose, one in so many may be shown in prompts.
SHOWN = 4
#: What the candidates' answers may cost in all, beside what the labels cost.
WORTH = 2.0
#: Candidates that the first round keeps at least.
KEPT = 3
#: A pipeline is taken when it costs less than this share of the top model.
PAYS = 0.985
#: A prompt with examples is taken when it likely costs less than this share of the best one without.
TAUGHT_PAYS = 0.9
#: Points of a candidate's curve of cost over loss.
POINTS = 21
#: Draws from what is known of the losses.
DRAWS = 100


@dataclass(frozen=True)
class Point:
    """One threshold of a candidate: what it costs beside the top model, and the estimated share of rows lost."""

    cost_share: float
    loss: float


@dataclass(frozen=True)
class Prospect:
    """What a candidate is expected to come to, before anything is certified."""

    candidate: str
    #: Expected cost beside the top model alone, with a 90% interval; 1.0: it would not pay.
    cost_share: float
    low: float
    high: float
    #: Cost of its own answers beside the top model's.
    price_share: float
    #: Estimated share of its answers that are lost, were all of them taken.
    loss: float
    #: Labelled rows, and those of them on which taking its answer would lose.
    labelled: int
    lost: int
    #: Rows that it answered.
    asked: int
    #: Whether it was left out after the first round.
    is_dropped: bool = False


@dataclass(frozen=True)
class Choice:
    """The outcome of the choosing."""

    #: None: no candidate is likely to pay.
    best: str | None
    prospects: tuple[Prospect, ...]
    labels: int
    #: Rows that the choosing saw, first those by whose labels it chose.
    seen: Ints
    #: The top model's dollars on the labelled rows.
    top_usd: Floats


@dataclass(frozen=True)
class _Room:
    """What is left for certifying: labels, rows, and the promise."""

    labels: int
    rows: int
    target: Target
    seed: int


def choose(source: Source, order: Ints, labels: int, target: Target, *, seed: int) -> Choice:
    """Buy a few labels, have every candidate answer the same rows, drop the hopeless halfway, and name the cheapest."""
    shown = order[: min(source.shows, labels_to_choose(labels) // SHOWN)]
    order = order[len(shown) :]
    count = labels_to_choose(labels) - len(shown)
    half = max(1, count // 2) if len(source.candidates) > 1 or len(shown) else count
    top_usd = source.label(order[:half])
    alive = [name for name in source.candidates if _share(source, name, order[:half], top_usd) < 1]
    looks = _looks(source, alive, order[:half], top_usd, labels, len(order))
    room = _Room(labels - count - len(shown), len(order) - count - looks, target, seed)
    unlabelled = order[count : count + looks]
    first = _prospects(source, alive, order[:half], unlabelled[: looks // 2], top_usd, room)
    alive = _hopeful(first)
    top_usd = source.label(order[:count])
    taught = _with_examples(source, alive, shown)
    last = _prospects(source, alive + taught, order[:count], unlabelled, top_usd, room)
    dropped = {name: replace(first[name], is_dropped=True) for name in first if name not in last}
    best = _best(last, plain=alive)
    return Choice(
        best=best.candidate if best is not None and best.cost_share < PAYS else None,
        prospects=tuple((last | dropped).values()),
        labels=count + len(shown),
        seen=np.concatenate([order[: count + looks], shown]),
        top_usd=top_usd,
    )


def _best(found: Mapping[str, Prospect], *, plain: list[str]) -> Prospect | None:
    """Return what likely costs least; a prompt with examples must cost clearly less than those as they stand."""

    def weighed(one: Prospect) -> float:
        return one.cost_share / (1.0 if one.candidate in plain else TAUGHT_PAYS)

    return min(found.values(), key=weighed, default=None)


def _with_examples(source: Source, names: list[str], shown: Ints) -> list[str]:
    """Return the names of candidates whose prompts show rows; these are labelled for it."""
    if not len(shown) or not names:
        return []
    source.label(shown)
    found = (source.with_examples(name, shown) for name in names)
    return [name for name in found if name is not None]


def labels_to_choose(labels: int) -> int:
    """Return how many of the labels go to the choosing."""
    return min(labels, max(FEWEST, round(CHOOSING * labels)))


def price_share(answers: Answers, top_usd: Floats) -> float:
    """Return what a candidate's answers cost beside the top model's on the same rows, confidences left out."""
    return float(answers.cost_usd.sum() / top_usd.sum()) if top_usd.sum() > 0 else 1.0


def _share(source: Source, candidate: str, rows: Ints, top_usd: Floats) -> float:
    return price_share(source.answers(candidate, rows), top_usd)


def _looks(source: Source, alive: list[str], rows: Ints, top_usd: Floats, labels: int, total: int) -> int:
    """Return how many rows the candidates answer without a label: as many as are worth their price."""
    if len(alive) < 2 and not source.shows:
        return 0
    answers = [source.answers(name, rows) for name in alive]
    each = sum(float((one.cost_usd + one.confidence_usd).mean()) for one in answers)
    if source.shows:
        # Each may answer with examples, too, at a prompt of more than once the length.
        each *= 2.5
    worth = WORTH * labels * float(top_usd.mean()) / each if each > 0 else np.inf
    return int(min(UNLABELLED * labels_to_choose(labels), LOOKING * total, worth))


def _prospects(
    source: Source, alive: list[str], labelled: Ints, unlabelled: Ints, top_usd: Floats, room: _Room
) -> dict[str, Prospect]:
    rows = np.concatenate([labelled, unlabelled])
    answers = {name: source.answers(name, rows) for name in alive}
    lost = {name: source.lost(name, labelled) for name in alive}
    if not alive:
        return {}
    losses = learn(answers, lost, draws=DRAWS, seed=room.seed)
    return {name: _prospect(name, answers[name], lost[name], losses[name], top_usd, room) for name in alive}


def _prospect(name: str, answers: Answers, lost: Bools, losses: Floats, top_usd: Floats, room: _Room) -> Prospect:
    price = price_share(answers.at(np.arange(len(top_usd))), top_usd)
    signal = price * float(answers.confidence_usd.sum() / max(answers.cost_usd.sum(), 1e-12))
    costs = likely_costs(answers.confidence, losses, price=price, signal=signal, room=room)
    return Prospect(
        candidate=name,
        cost_share=float(costs.mean()),
        low=float(np.quantile(costs, 0.05)),
        high=float(np.quantile(costs, 0.95)),
        price_share=price,
        loss=float(losses.mean()),
        labelled=len(lost),
        lost=int(lost.sum()),
        asked=len(answers),
    )


def likely_costs(confidence: Floats, losses: Floats, *, price: float, signal: float, room: _Room) -> Floats:
    """Return, for each draw of losses, the cost share at the lowest threshold that could be certified.

    `price` and `signal`: dollars of answers and confidences beside the top model's. A candidate of which everything is
    taken needs no confidence; one of which nothing can be certified is not asked.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    accepted = np.arange(1, len(ranked) + 1) / len(ranked)
    loss = np.cumsum(losses[:, order], axis=1) / len(ranked)
    is_end = np.append(ranked[1:] != ranked[:-1], True) & np.isfinite(ranked)
    borne = np.array([_borne(room, share) for share in accepted])
    fits = (loss <= borne) & is_end
    last = np.where(fits.any(axis=1), len(ranked) - 1 - np.argmax(fits[:, ::-1], axis=1), -1)
    share = np.where(last >= 0, accepted[last], 0.0)
    takes_all = share >= np.isfinite(ranked).mean()
    costs = price + np.where(takes_all, 0.0, signal) + 1 - share
    found: Floats = np.where(last < 0, 1.0, np.minimum(costs, 1.0))
    return found


def curve_of(confidence: Floats, loss: Floats, *, price: float, signal: float) -> tuple[Point, ...]:
    """Return some points from accepting nothing to accepting all, by the mean of what is known of the losses."""
    order = np.argsort(-confidence, kind="stable")
    lost = np.concatenate([[0.0], np.cumsum(loss[order]) / len(loss)])
    places = np.unique(np.linspace(0, np.isfinite(confidence).sum(), POINTS).astype(int))
    return tuple(Point(price + signal + 1 - at / len(loss), float(lost[at])) for at in places)


def _borne(room: _Room, accepted: float) -> float:
    """Return the true loss at which certifying will about end, when this share of the items is accepted."""
    draws = int(min(room.labels / accepted, room.rows))
    most = _critical(draws, room.target)
    return (most + 0.5) / draws if most >= 0 else -1.0


@lru_cache(maxsize=4096)
def _critical(draws: int, target: Target) -> int:
    return critical_count(draws, target.max_loss, target.delta) if draws > 0 else -1


def _hopeful(found: Mapping[str, Prospect]) -> list[str]:
    """Return the candidates that may yet turn out best, at least a few of them, in their order."""
    if not found:
        return []
    best = min(one.cost_share for one in found.values())
    likeliest = sorted(found.values(), key=lambda one: one.low)[:KEPT]
    return [name for name, one in found.items() if one.low < best or one in likeliest]
