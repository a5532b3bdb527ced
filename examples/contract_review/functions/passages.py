"""Finds the sentences of a licence that speak of its permissions, conditions and limitations."""

import re
from typing import Any

#: Family -> what its sentences speak of: for each topic the words that give it away, the most telling first.
TOPICS: dict[str, tuple[tuple[str, ...], ...]] = {
    "permissions": (
        (r"permi(?:ssion|tted)", r"hereby grant", r"\bgrants?\b", r"royalty-free", r"\buse\b", r"any purpose"),
        (r"modif", r"derivative", r"prepare", r"adapted", r"alter"),
        (r"distribut", r"redistribut", r"\bshare\b", r"sublicense", r"publicly"),
        (r"patent (?:licen[cs]e|claims|rights)", r"under (?:its|licensed) patent", r"make, have made", r"\bgrants?\b"),
    ),
    "conditions": (
        (r"copyright notice", r"retain", r"attribution", r"include .{0,40}notice", r"cop(?:y|ies) of th"),
        (r"prominent", r"changed? the files", r"modified files", r"modifications? .{0,30}(?:date|made)", r"altered"),
        (r"source code", r"corresponding source", r"machine[- ]readable", r"source form", r"make available"),
        (r"under (?:the terms of )?this licen[cs]e", r"same licen[cs]e", r"compatible licen[cs]e", r"share ?alike"),
        (r"network", r"online", r"communicat", r"essential functionalities"),
    ),
    "limitations": (
        (r"warrant(?:y|ies)", r"as[- ]is", r"merchantability", r"fitness"),
        (r"liab(?:le|ility)", r"damages", r"in no event", r"consequential"),
        (r"trade ?marks?", r"trade names?", r"service marks?", r"endorse"),
        (r"patent .{0,40}not", r"not .{0,60}patent", r"patent and trade"),
    ),
}
#: Family -> words that make a sentence operative: without one it only speaks of the topic.
_OPERATIVE = {
    "permissions": r"\bgrant|permission|permitted|\bmay\b|licensed to do",
    "conditions": r"\bmust\b|provided that|\bshall\b|retain|remov|requir|\bif you\b|only under",
    "limitations": r"\bnot?\b|without|disclaim|neither|exclude",
}
#: Definitions speak of everything and grant nothing.
# ruff: noqa: RUF001 - the quotation marks and dashes that licences use
_DEFINITION = r"\b(?:shall mean|means?|refers? to|have the same meaning)\b|^[-\"‘“ ]*[A-Z][\w ]+[\"’”]\s*[:–]"
_END = re.compile(r"(?<=[.;:])\s+(?=[A-Z(\"*\d])|\n\s*\n")
_MOST_CHARS = 240


def find(text: str) -> dict[str, list[dict[str, Any]]]:
    """Return for each family the best sentence of each of its topics, in the order of the text: {n, text}."""
    sentences = [" ".join(sentence.split()) for sentence in _END.split(text)]
    sentences = [sentence for sentence in sentences if len(sentence) > 20]
    return {
        family: [{"n": n, "text": sentence} for n, sentence in enumerate(_best(sentences, family), 1)]
        for family in TOPICS
    }


def _best(sentences: list[str], family: str) -> list[str]:
    operative = [one for one in sentences if re.search(_OPERATIVE[family], one, re.IGNORECASE)]
    usable = [one for one in operative if not re.search(_DEFINITION, one)]
    chosen: dict[int, str] = {}
    for topic in TOPICS[family]:
        scored = [(_score(sentence, topic), -place) for place, sentence in enumerate(usable)]
        score, place = max(scored, default=(0, 0))
        if score:
            chosen.setdefault(-place, _window(usable[-place], topic))
    return [chosen[place] for place in sorted(chosen)] or [sentences[0][:_MOST_CHARS] if sentences else "-"]


def _score(sentence: str, topic: tuple[str, ...]) -> int:
    """Return how much a sentence has of a topic: the earlier words of the list weigh more."""
    return sum(len(topic) - rank for rank, word in enumerate(topic) if re.search(word, sentence, re.IGNORECASE))


def _window(sentence: str, topic: tuple[str, ...]) -> str:
    """Return a sentence, or so much of a long one around the first telling word, cut between words."""
    if len(sentence) <= _MOST_CHARS:
        return sentence
    hits = [match.start() for word in topic if (match := re.search(word, sentence, re.IGNORECASE))]
    start = max(0, min(hits[0] - _MOST_CHARS // 3, len(sentence) - _MOST_CHARS))
    piece = sentence[start : start + _MOST_CHARS]
    piece = piece if start == 0 else piece.partition(" ")[2]
    return piece if start + _MOST_CHARS >= len(sentence) else piece.rpartition(" ")[0]
