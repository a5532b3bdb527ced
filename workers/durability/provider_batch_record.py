"""What is on record of handing in a provider batch, before each step of it: so that no death makes it twice."""

from dataclasses import dataclass
from datetime import datetime

import redis.asyncio

from firstline.config.shared_state.keys import Keys

#: Seconds that a record is kept: longer than any provider keeps a batch waiting.
KEPT_S = 14 * 24 * 3600


@dataclass(slots=True)
class Record:
    """How far the handing in has come, in Redis."""

    client: "redis.asyncio.Redis"
    keys: Keys
    provider_batch: str
    #: The model that it goes to, and the file that its requests are in.
    model: str | None = None
    uploaded: str | None = None
    #: From when on a batch may be at the provider.
    created: datetime | None = None
    #: The provider's name for it.
    name: str | None = None

    @classmethod
    async def read(cls, client: "redis.asyncio.Redis", keys: Keys, provider_batch: str) -> "Record":
        """Return what is on record of a provider batch."""
        found = await client.hgetall(keys.provider_batch(provider_batch))
        told = {str(field): str(value) for field, value in found.items()}
        created = told.get("created")
        return cls(
            client,
            keys,
            provider_batch,
            model=told.get("model"),
            uploaded=told.get("uploaded"),
            created=None if created is None else datetime.fromisoformat(created),
            name=told.get("name"),
        )

    async def take(self, name: str) -> bool:
        """Note the provider's name for it; False where that is the name of another one of ours."""
        key = self.keys.provider_batch_named(name)
        is_new = await self.client.set(key, self.provider_batch, nx=True, ex=KEPT_S)
        if not is_new and await self.client.get(key) != self.provider_batch:
            return False
        self.name = name
        await self._write(name=name)
        return True

    async def note_model(self, model: str) -> None:
        """Note which model it goes to, before anything is handed to its provider."""
        await self._write(model=model)

    async def note_uploaded(self, uploaded: str) -> None:
        """Note where its requests are, before a batch is made of them."""
        await self._write(uploaded=uploaded)

    async def note_created(self, at: datetime) -> None:
        """Note that a batch may be at the provider from now on, before it is made."""
        await self._write(created=at.isoformat())

    async def _write(self, **told: str) -> None:
        key = self.keys.provider_batch(self.provider_batch)
        pipe = self.client.pipeline(transaction=True)
        pipe.hset(key, mapping=told)  # type: ignore[arg-type] # texts are what Redis takes
        pipe.expire(key, KEPT_S)
        await pipe.execute()
