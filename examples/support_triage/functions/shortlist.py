"""Finds the few intents that a customer's question may have, by likeness to questions whose intent is known."""

import csv
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "data" / "examples.csv"
CANDIDATES = 5
#: An intent is as likely as its so many closest questions together.
_CLOSEST = 3
#: So many of the likest intents are shown with two questions, the others with one; each cut to so many characters.
_SHOWN_TWICE, _SHOWN_CHARS = 2, 110
#: Longer messages, and those of more sentences, are for the frontier to answer.
_SIMPLE_WORDS, _SIMPLE_SENTENCES = 20, 1
_WORD = re.compile(r"[a-z0-9']+")
_SENTENCE = re.compile(r"[.?!]+(?:\s|$)")
_ENDINGS = ("ing", "ed", "es", "s")
#: Words that tell no intent from another.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an the i my me is it was to of and for in on do does did can could you have has be been am are with that "
        "this at if so just please what",
    )
)
#: Parameters of Okapi BM25 (Robertson and Zaragoza 2009): saturation of repeats, weight of a text's length.
_K1, _B = 1.2, 0.5


@dataclass(frozen=True)
class Known:
    """A question whose intent is known."""

    text: str
    intent: str
    words: Counter[str]

    @property
    def length(self) -> int:
        """How many words count."""
        return self.words.total()


def shortlist(text: str) -> dict[str, object]:
    """Return the most likely intents, best first, the known questions as a prompt shows them, and if it is complex.

    `cases` has a line for each known question, the most alike last, and then one for the question itself: small models
    go on with a pattern better than they follow rules.
    """
    scores = likeness(text)
    ranked = sorted(scores, key=lambda intent: (-sum(score for score, _ in scores[intent][:_CLOSEST]), intent))
    intents = ranked[:CANDIDATES]
    known = [case for rank, intent in enumerate(intents) for case in _cases(intent, scores[intent], rank)]
    cases = "\n".join([*reversed(known), _case(text, "?")])
    return {"intents": intents, "cases": cases, "complex": is_complex(text)}


def likeness(text: str) -> dict[str, list[tuple[float, str]]]:
    """Return (score, question) of the known questions by intent, best first; a question is never its own example."""
    known, weights = index()
    mean = sum(one.length for one in known) / len(known)
    asked = set(words(text))
    scores: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for one in known:
        if one.text != text:
            long = 1 - _B + _B * one.length / mean
            found = ((weights[word], one.words[word]) for word in asked if word in one.words)
            score = sum(weight * often * (_K1 + 1) / (often + _K1 * long) for weight, often in found)
            scores[one.intent].append((score, one.text))
    return {intent: sorted(some, reverse=True) for intent, some in scores.items()}


def is_complex(text: str) -> bool:
    """Return whether a message says more than a ready-made reply can take up."""
    return len(text.split()) > _SIMPLE_WORDS or len(_SENTENCE.findall(text.strip())) > _SIMPLE_SENTENCES


@cache
def index() -> tuple[tuple[Known, ...], dict[str, float]]:
    """Return the known questions, and each word's weight: the rarer the heavier."""
    with EXAMPLES.open(encoding="utf-8", newline="") as file:
        known = tuple(Known(row["text"], row["intent"], Counter(words(row["text"]))) for row in csv.DictReader(file))
    often = Counter(word for one in known for word in one.words)
    return known, {word: math.log(1 + (len(known) - n + 0.5) / (n + 0.5)) for word, n in often.items()}


def words(text: str) -> list[str]:
    """Return the words that count, without their endings; `top up` and `top-up` are one word."""
    joined = re.sub(r"top[- ]?up", "topup", text.lower())
    return [_stem(word) for word in _WORD.findall(joined) if word not in _COMMON]


def _stem(word: str) -> str:
    ending = next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), "")
    return word.removesuffix(ending)


def _cases(intent: str, scored: list[tuple[float, str]], rank: int) -> list[str]:
    return [_case(_cut(text), intent) for _, text in scored[: 2 if rank < _SHOWN_TWICE else 1]]


def _case(text: str, intent: str) -> str:
    return f"{' '.join(text.split())} -> {intent}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
