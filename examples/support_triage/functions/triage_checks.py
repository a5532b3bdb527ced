"""Checks of a named intent against the known questions that the model was shown."""

from typing import Any


def is_candidate(answer: dict[str, Any], item: dict[str, Any]) -> bool | str:
    """Return whether a known question has the intent, or the reason why not."""
    intents = _intents(item)
    return answer["intent"] in intents or f"{answer['intent']} is none of {', '.join(dict.fromkeys(intents))}"


def agrees_with_likeness(answer: dict[str, Any], item: dict[str, Any]) -> bool | str:
    """Return whether the intent is the one whose known questions are likest in words, or the reason why not."""
    likest = _intents(item)[-1]
    return answer["intent"] == likest or f"the likest known questions say {likest}"


def _intents(item: dict[str, Any]) -> list[str]:
    return [line.rpartition(" -> ")[2] for line in item["cases"].splitlines()[:-1]]
