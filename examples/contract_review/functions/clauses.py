"""What was found in a licence: checked, flagged, and scored against what lawyers found."""

from typing import Any

Clauses = list[dict[str, Any]]
FAMILIES = ("permissions", "conditions", "limitations")
_BINDING = ("disclose-source", "network-use-disclose", "same-license", "same-license--file", "same-license--library")


def tidied(answer: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Return each tag once, with its first passage; where one passage was shown, that one is meant."""
    shown = [passage["n"] for passage in item["passages"]]
    kept: dict[str, dict[str, Any]] = {}
    for clause in answer["clauses"]:
        kept.setdefault(clause["tag"], clause | {"passage": shown[0]} if len(shown) == 1 else clause)
    return {"clauses": list(kept.values())}


def in_range(answer: dict[str, Any], item: dict[str, Any]) -> bool | str:
    """Return True when every clause names a passage that was shown, else the reason."""
    shown = [passage["n"] for passage in item["passages"]]
    unknown = sorted({clause["passage"] for clause in answer["clauses"]} - set(shown))
    return f"there is no passage {unknown[0]}; there are {shown[0]} to {shown[-1]}" if unknown else True


def quoted(
    passages: dict[str, list[dict[str, Any]]], permissions: Clauses, conditions: Clauses, limitations: Clauses
) -> dict[str, Clauses]:
    """Return the clauses of each family with the words of their passages in the place of the numbers."""
    found = zip(FAMILIES, (permissions, conditions, limitations), strict=True)
    return {family: [_quoted(clause, passages[family]) for clause in clauses] for family, clauses in found}


def _quoted(clause: dict[str, Any], passages: list[dict[str, Any]]) -> dict[str, Any]:
    texts = {passage["n"]: passage["text"] for passage in passages}
    return {"tag": clause["tag"], "quote": texts[clause["passage"]]}


def flagged(title: str, permissions: Clauses, conditions: Clauses, limitations: Clauses) -> dict[str, Any]:
    """Return what a counsel has to know of a licence that obliges its user to publish or to license alike."""
    missing = [tag for tag in ("warranty", "liability") if tag not in _tags(limitations)]
    return {
        "licence": title,
        "binding": [clause for clause in conditions if clause["tag"] in _BINDING],
        "other_conditions": sorted(_tags(conditions) - set(_BINDING)),
        "patent_licence": "patent-use" in _tags(permissions),
        "not_found": missing,
    }


def agreement(output: dict[str, Any] | None, gold: dict[str, list[str]]) -> float:
    """Return the F1 of the set of (family, tag) that was found against the lawyers' one."""
    found = {(family, tag) for family in FAMILIES for tag in _tags((output or {}).get(family) or [])}
    truth = {(family, tag) for family in FAMILIES for tag in gold[family]}
    return 2 * len(found & truth) / (len(found) + len(truth)) if found or truth else 1.0


def _tags(clauses: Clauses) -> set[str]:
    return {clause["tag"] for clause in clauses}
