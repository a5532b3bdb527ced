"""What a brief demands of an article, and whether the article does it: plain counting, no model."""

import re
from typing import Any

#: Words of the whole article.
LEAST_WORDS, MOST_WORDS = 120, 420
SECTIONS = 3


def joined(outline: dict[str, Any], texts: list[str]) -> str:
    """Return the article as Markdown: the title, then each section under its heading."""
    headings = [section["heading"] for section in outline["sections"]]
    parts = [f"## {heading}\n\n{text.strip()}" for heading, text in zip(headings, texts, strict=True)]
    return "\n\n".join([f"# {outline['title']}", *parts])


def facts_are_placed(answer: dict[str, Any], item: dict[str, Any]) -> bool | str:
    """Return True when every fact of the brief stands in some section, else the reason."""
    placed = {n for section in answer["sections"] for n in section["facts"]}
    known = [fact["n"] for fact in item["facts"]]
    missing = [n for n in known if n not in placed]
    return f"no section has fact {missing[0]}; give each of the facts {known} to one section" if missing else True


def sections(outline: dict[str, Any], facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the sections of an outline with the words of their facts in the place of the numbers.

    A fact given twice stays where it is named first, and a number that no fact has is dropped.
    """
    words = {fact["n"]: fact["text"] for fact in facts}
    return [
        {**section, "facts": [words.pop(n) for n in section["facts"] if n in words]} for section in outline["sections"]
    ]


def is_prose(answer: str, item: object = None) -> bool | str:
    """Return True for plain paragraphs, else the reason."""
    if re.search(r"^\s*(#|\*\*|[-*] |\d+\. )", answer, re.MULTILINE):
        return "expected plain paragraphs, got headings or a list"
    return True


def keeps_its_shape(answer: str, item: dict[str, Any]) -> bool | str:
    """Return True when an edited article has the title and headings of its draft, else the reason."""
    lost = [line for line in item["draft"].splitlines() if line.startswith("#") and line.strip() not in answer]
    return f"keep the line '{lost[0]}' as it is" if lost else True


def says_what_it_must(answer: str, item: dict[str, Any]) -> bool | str:
    """Return True when all phrases that must be there are, and none that must not, else the reason."""
    missing = [phrase for phrase in item["must_mention"] if _plain(phrase) not in _plain(answer)]
    if missing:
        return f"the words '{missing[0]}' are missing; the draft or the brief has them"
    banned = [word for word in item["avoid"] if re.search(rf"\b{re.escape(word)}\b", answer, re.IGNORECASE)]
    return f"avoid the word '{banned[0]}'" if banned else True


def requirements_met(output: dict[str, Any] | None, must_mention: list[str]) -> float:
    """Return the share of a brief's requirements that an article meets: phrases, banned words, form, length."""
    if output is None:
        return 0.0
    article = output["article"] or ""
    words = len(article.split())
    met = [_plain(phrase) in _plain(article) for phrase in must_mention]
    met += [not re.search(rf"\b{re.escape(word)}\b", article, re.IGNORECASE) for word in output["avoid"]]
    met += [
        len(re.findall(r"^# ", article, re.MULTILINE)) == 1,
        len(re.findall(r"^## ", article, re.MULTILINE)) == SECTIONS,
        LEAST_WORDS <= words <= MOST_WORDS,
        _repeats_no_sentence(article),
    ]
    return sum(met) / len(met)


def _repeats_no_sentence(article: str) -> bool:
    sentences = [_plain(one) for one in re.split(r"(?<=[.!?])\s+", article) if len(one.split()) > 4]
    return len(sentences) == len(set(sentences))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
