"""What every provider's wire format can be asked for, whatever it looks like: one class a provider fills this in."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Any, ClassVar

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Structured
from tests.integration.workers.providers.canned import Response


class Finish(StrEnum):
    """Why a model stopped."""

    STOP = "stop"
    LENGTH = "length"
    #: The provider's filter ended the answer.
    FILTERED = "filtered"
    #: The model would not.
    REFUSED = "refused"


@dataclass(frozen=True)
class Wish:
    """A tool call as the provider names it."""

    id: str
    name: str
    arguments: JsonObject


@dataclass(frozen=True)
class Said:
    """What a model says."""

    text: str | None = None
    thoughts: str | None = None
    #: Opaque proof of the thoughts, which the next round has to bring back.
    seal: str = ""
    wishes: tuple[Wish, ...] = ()
    finish: Finish = Finish.STOP


@dataclass(frozen=True)
class Asked:
    """What a request asks."""

    #: The provider's own way of asking for JSON that the request uses.
    mode: Structured = Structured.PROMPT
    schema: JsonObject | None = None
    #: Tools on offer, and the one that the model has to call.
    offered: tuple[str, ...] = ()
    forced: str | None = None
    #: Results of tools by the ids of their calls, in order.
    results: Mapping[str, str] = field(default_factory=dict)
    #: Proofs of thoughts that stand at the calls they belong to, by the calls' ids.
    seals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """A response in the provider's own words, and what it has to be taken for."""

    response: Response
    kind: ErrorKind
    wait_s: float | None = None
    #: A piece of the provider's sentence that people are to be told.
    words: str = ""
    #: At a dollar for a million tokens.
    cost_usd: float = 0.0


class WireFormat(ABC):
    """One provider: reads its requests, writes its answers."""

    #: As people write it in a profile.
    model: str
    params: ClassVar[JsonObject] = {}
    #: What stands behind the server's URL in `api_base`.
    base: str
    #: Where a call is sent.
    path: str
    #: Ways to ask for JSON that a model of today takes, the best first.
    modes: tuple[Structured, ...]
    #: What `write` states as used, of every kind that this provider tells apart.
    usage: Usage
    #: How it says no to a way of asking for JSON.
    unknown_mode: Response
    #: How it says that the next round lacks the thoughts of the last one; None: it does not mind.
    unsealed: Response | None = None
    #: Ids of tool calls as it makes them.
    ids: tuple[str, str]
    #: Throttling in its own words, beside the plain `Retry-After`.
    throttled: ClassVar[Mapping[str, Fault]]
    #: Other faults: `overflow` and what filters say before there is an answer.
    faults: ClassVar[Mapping[str, Fault]]
    #: Scenes that cannot be, with the reason.
    lacks: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def read(self, body: Any) -> Asked:
        """Return what a request asks."""

    @abstractmethod
    def write(self, said: Said) -> JsonObject:
        """Return the body of an answer, with its usage."""

    #: The type of an answer in the provider's own client library: its module and its name.
    own_type: tuple[str, str]

    def vouch(self, asked: Any, answered: Any) -> None:
        """Have the provider's own client library read an answer, where it is installed, and raise what it raises."""
        module, name = self.own_type
        with suppress(ModuleNotFoundError):
            getattr(import_module(module), name).model_validate(answered)

    def refuses(self, mode: Structured) -> Response:
        """Say no to a way of asking for JSON."""
        return self.unknown_mode

    def seal(self, thoughts: str | None, proof: str) -> str:
        """Return what proves thoughts to this provider."""
        return proof


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and nothing where there is none."""
    return value if isinstance(value, list) else []
