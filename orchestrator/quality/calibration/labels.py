"""Labels for a calibration: what the cheap and the frontier model answered on the same items, and who was right."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from firstline.schemas.base import Json, JsonObject, digest
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Quality
from firstline.schemas.policy import Confidence
from firstline.workers.rules.json_paths import MISSING, Absent, dig
from firstline.workers.rules.scoring import compare, gold_as, gold_of

#: Stands for "no confidence": below every signal's 0..1, so such an answer escalates.
NO_CONFIDENCE = -1e9
#: How answers are compared where nothing says otherwise.
EXACT = "exact"


@dataclass(frozen=True)
class Answer:
    """What a tier came to on one subtask; `MISSING`: it gave no usable answer."""

    value: Json | Absent
    model: str = ""
    confidence: Confidence | None = None


@dataclass(frozen=True)
class Pair:
    """One item, answered by both."""

    item_id: str
    item: JsonObject
    cheap: Answer
    frontier: Answer


@dataclass(frozen=True)
class Truth:
    """What is right: gold that items carry, else what the frontier says."""

    #: None: no gold; the frontier counts as right.
    quality: Quality | None = None
    compare: str = EXACT
    #: Dotted path that is compared; the whole answer when missing.
    field: str | None = None
    folders: tuple[Path, ...] = ()

    def score(self, answer: Json | Absent, item: JsonObject) -> float | None:
        """Return how well an answer meets the item's gold, 0..1; None where the item carries none."""
        assert self.quality is not None
        gold = gold_of(self.quality, item)
        if gold is MISSING or gold is None:
            return None
        found = _part(answer, self.quality.field)
        if found is MISSING:
            return 0.0
        wanted = gold_as(gold, found, locale=self.quality.locale)
        return compare(self.compare, found, wanted, folders=self.folders)

    def agreement(self, answer: Json | Absent, other: Json | Absent) -> float | None:
        """Return how far an answer agrees with the frontier's, 0..1; None where the frontier has none."""
        reference = _part(other, self.field)
        return None if reference is MISSING else self._like(answer, reference, self.field)

    def _like(self, answer: Json | Absent, wanted: Json, field: str | None) -> float:
        found = _part(answer, field)
        return 0.0 if found is MISSING else compare(self.compare, found, wanted, folders=self.folders)


def _part(answer: Json | Absent, field: str | None) -> Json | Absent:
    return dig(answer, field) if field and answer is not MISSING else answer


def truth_of(
    quality: Quality | None, step: str, *, output: str | Mapping[str, str], folders: tuple[Path, ...]
) -> Truth:
    """Return what is right for one step: the workflow's gold where its output is that step's answer, else agreement."""
    if quality is None:
        return Truth(folders=folders)
    field = _field_within(step, output, quality.field)
    if field is MISSING:
        return Truth(folders=folders)
    mine = quality.evolve(field=field)
    return Truth(quality=mine, compare=quality.compare, field=field, folders=folders)


def _field_within(step: str, output: str | Mapping[str, str], field: str | None) -> str | Absent | None:
    """Return the path into a step's answer that the quality looks at; `MISSING` where it looks at another step's."""
    if isinstance(output, str):
        return field if output == step else MISSING
    if field is None:
        return MISSING
    name, _, rest = field.partition(".")
    root, _, path = output.get(name, "").partition(".")
    return (".".join(part for part in (path, rest) if part) or None) if root == step else MISSING


def is_loss(pair: Pair, truth: Truth) -> bool | None:
    """Say whether accepting the cheap answer lost what the frontier has; None where nobody can tell."""
    right = _label(pair, truth)
    return None if right is None else not right[0] and right[1] is not False


def _label(pair: Pair, truth: Truth) -> tuple[bool, bool | None] | None:
    if truth.quality is None:
        agrees = truth.agreement(pair.cheap.value, pair.frontier.value)
        return None if agrees is None else (agrees >= 1, None)
    ours, theirs = (truth.score(answer.value, pair.item) for answer in (pair.cheap, pair.frontier))
    return None if ours is None or theirs is None else (ours >= 1, theirs > ours or theirs >= 1)


def main_signal(answers: Sequence[Answer]) -> str | None:
    """Return the signal that most answers have a value of; None where none has any."""
    counted = Counter(answer.confidence.signal for answer in answers if answer.confidence is not None)
    return max(counted, key=lambda name: counted[name], default=None)


def refuse_contradictions(items: Iterable[tuple[str, JsonObject]], quality: Quality | None) -> None:
    """Raise a UserError where equal inputs (id, fields) carry different gold: one of the labels must be wrong."""
    if quality is None:
        return
    root = quality.gold.partition(".")[0]
    seen: dict[str, tuple[str, JsonObject]] = {}
    for item_id, item in items:
        rest = {name: value for name, value in item.items() if name not in ("id", root)}
        first_id, first = seen.setdefault(digest(rest), (item_id, item))
        if gold_of(quality, first) != gold_of(quality, item):
            raise UserError(
                f"items {first_id} and {item_id} are the same but carry different `{quality.gold}`; mend the "
                "wrong one, or leave both out"
            )
