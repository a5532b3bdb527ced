"""What an answer cites: ids that exist, and the papers that were to be found."""

import re
from typing import Any

_CITED = re.compile(r"\[([a-z0-9-]+#\d+)\]")


def support(output: dict[str, Any] | None, sources: list[str]) -> float:
    """Return the share of the answer's citations that exist times the share of the expected papers among them."""
    if output is None:
        return 0.0
    cited = set(_CITED.findall(output["answer"] or ""))
    found = {passage["id"] for name in ("found_1", "found_2") for passage in output[name] or []}
    if not cited:
        return 0.0
    papers = {one.partition("#")[0] for one in cited & found}
    return len(cited & found) / len(cited) * len(papers & set(sources)) / len(sources)


def only_known(answer: dict[str, Any], item: dict[str, Any]) -> bool | str:
    """Return True when every note is of a passage that was shown, else the reason."""
    shown = [passage["id"] for passage in item["passages"]]
    unknown = [note["id"] for note in answer["notes"] if note["id"] not in shown]
    return f"no passage has the id {', '.join(unknown)}; the ids are {', '.join(shown)}" if unknown else True


def cites_the_notes(answer: dict[str, Any], item: dict[str, Any]) -> bool | str:
    """Return True when the answer cites at least one note and nothing else, else the reason."""
    known = [note["id"] for field in ("notes", "more_notes") for note in item.get(field) or []]
    cited = _CITED.findall(answer["answer"])
    unknown = sorted(set(cited) - set(known))
    if unknown:
        return f"cites {', '.join(unknown)}, which no note has; cite only {', '.join(known)}"
    if known and not cited:
        return f"expected at least one citation such as [{known[0]}]"
    return True
