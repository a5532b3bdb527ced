"""A further call that a signal wants made: data, for whoever makes calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from firstline.schemas.base import JsonObject
from firstline.workers.providers.gateway import Message, Reply


@dataclass(frozen=True, slots=True)
class Ask:
    """A call without a model: who makes it chooses one of the tier's, books the attempt and keeps to the budget."""

    #: As in `Attempt.purpose`: `sample` or `verify`.
    purpose: str
    messages: tuple[Message, ...]
    #: None: the tier that answered.
    tier: str | None = None
    schema: JsonObject | None = None
    schema_name: str = "answer"
    #: What a decision model is asked, which writes no text.
    question: JsonObject | None = None
    params: JsonObject = field(default_factory=dict)
    top_logprobs: int | None = None


#: Makes a call; None where none can be made (no such tier, no budget).
Caller = Callable[[Ask], Awaitable[Reply | None]]
