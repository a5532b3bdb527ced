"""What one worker learns of how an endpoint takes JSON, all workers know: on a real Redis-protocol server."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from firstline.config.shared_state.keys import Keys
from firstline.config.shared_state.redis import connect_async
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Model, Structured
from firstline.workers.providers import mode_memory
from firstline.workers.providers.mode_memory import KEPT_S, ModeMemory, ModeStore

MODEL = Model(name="openai/small", api_base="http://127.0.0.1:1/v1")
ONE: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}}
OTHER: JsonObject = {"type": "object", "properties": {"b": {"type": "string"}}}


def with_two(redis_url: str, act: Callable[[ModeMemory, ModeMemory], Awaitable[None]]) -> None:
    """Run with the memories of two workers that share a Redis."""

    async def run() -> None:
        keys, clients = Keys(f"t{secrets.token_hex(6)}"), [connect_async(redis_url) for _ in range(2)]
        first, second = (_remembering(ModeStore(client, keys)) for client in clients)
        await act(first, second)
        for client in clients:
            await client.aclose()

    asyncio.run(run())


def _remembering(store: ModeStore) -> ModeMemory:
    memory = ModeMemory()
    memory.store = store
    return memory


async def _told(memory: ModeMemory, other: ModeMemory) -> None:
    """Wait until what a memory learnt is written, and have the other one look."""
    assert memory.store is not None
    for _ in range(200):
        if await memory.store.read():
            break
        await asyncio.sleep(0.01)
    await other.learn()


def test_a_refusal_that_one_worker_met_is_asked_for_by_no_other(redis_url):
    async def act(first: ModeMemory, second: ModeMemory) -> None:
        first.refused(MODEL, Structured.JSON_SCHEMA, ONE)
        await _told(first, second)
        assert Structured.JSON_SCHEMA not in second.modes(MODEL, ONE)
        assert Structured.JSON_SCHEMA in second.modes(MODEL, OTHER), "another schema may be taken"

    with_two(redis_url, act)


def test_a_refusal_is_tried_again_when_its_time_has_passed(redis_url, monkeypatch):
    async def act(first: ModeMemory, second: ModeMemory) -> None:
        first.refused(MODEL, Structured.JSON_SCHEMA)
        await _told(first, second)
        assert Structured.JSON_SCHEMA not in second.modes(MODEL, OTHER)
        now = mode_memory.time.time()
        monkeypatch.setattr(mode_memory.time, "time", lambda: now + KEPT_S + 1)
        assert Structured.JSON_SCHEMA in second.modes(MODEL, OTHER)
        assert second.store is not None
        assert await second.store.read() == {}

    with_two(redis_url, act)
