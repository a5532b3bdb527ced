"""What every Batch API can do, whatever it looks like on the wire."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pydantic_core import to_json

from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Model
from firstline.workers.providers.gateway import Reply

#: The longest answer that is read, unpacked.
MOST_BYTES = 2**30


class BatchError(Exception):
    """The provider refused or could not be reached; the reply says how, as for a single call."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.detail)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the provider takes it."""

    body: JsonObject
    #: Headers that asking like this needs (Anthropic's betas).
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that it takes, with what stands around it."""
        return len(to_json(self.body)) + 200


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one request; without a status it was never worked on, and nothing was paid."""

    name: str
    status: int | None = None
    body: JsonObject = field(default_factory=dict)
    #: The provider's words where it refused.
    message: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the provider is."""

    ended: bool
    #: Where its results are.
    places: tuple[str, ...] = ()
    #: The provider's words where it failed as a whole.
    problem: str | None = None
    #: Results that came with the look itself.
    results: tuple[Result, ...] = ()


class BatchWire(Protocol):
    """One provider's Batch API; its errors are raised as `BatchError`."""

    @property
    def most_requests(self) -> int:
        """What one batch may hold."""
        ...

    @property
    def most_bytes(self) -> int:
        """The size of all its requests."""
        ...

    @property
    def bears_marks(self) -> bool:
        """Whether a batch bears our mark; where none can, one of ours is known by the names of its answers."""
        ...

    async def upload(self, model: Model, requests: Mapping[str, Request], *, mark: str) -> str | None:
        """Bring the requests to where a batch is made of them; None where they travel with its making."""
        ...

    async def create(self, model: Model, requests: Mapping[str, Request], *, mark: str, uploaded: str | None) -> str:
        """Make a batch; return the provider's name for it."""
        ...

    async def marked(self, model: Model, *, mark: str, requests: int, since: datetime) -> list[str]:
        """Return the batches made since then that bear our mark, or may be ours where nothing can bear one."""
        ...

    async def look(self, model: Model, name: str) -> Progress:
        """Return how far a batch is."""
        ...

    async def cancel(self, model: Model, name: str) -> None:
        """Have no more of it answered."""
        ...

    def results(self, model: Model, progress: Progress) -> AsyncIterator[Result]:
        """Yield what came of each request; a line that cannot be read is nobody's and leaves the others alone."""
        ...
