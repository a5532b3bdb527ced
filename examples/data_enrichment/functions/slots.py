"""What is put right in marked slots, and a check of a review of them."""

from typing import Any

#: A reviewer who finds more than this share of a sample wrong has the step done again.
MOST_WRONG = 0.2


def tidied(answer: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Return the slots whose words stand in the text, each slot once: its first words."""
    text = item["text"].casefold()
    kept: dict[str, dict[str, Any]] = {}
    for marked in answer["slots"]:
        if marked["text"].casefold() in text:
            kept.setdefault(marked["slot"], marked)
    return {"slots": list(kept.values())}


def decision_follows(answer: dict[str, Any], item: dict[str, Any]) -> bool | str:
    """Return True when a review's decision fits the answers that it calls wrong, else the reason."""
    shown = {str(one["id"]) for one in item["outputs"]}
    wrong = {one["id"] for one in answer["wrong"]}
    if unknown := wrong - shown:
        return f"`wrong` names {', '.join(sorted(unknown))}, which are no ids of the outputs"
    due = "restart" if shown and item["rounds_left"] > 0 and len(wrong) / len(shown) > MOST_WRONG else "proceed"
    if answer["decision"] != due:
        return f"{len(wrong)} of {len(shown)} are wrong and {item['rounds_left']} rounds left: decide `{due}`"
    return "a restart needs `feedback`" if due == "restart" and not answer["feedback"].strip() else True
