"""Waiting for the answer of a job of one item, as long as somebody waits for it."""

import time
from collections.abc import AsyncGenerator
from http import HTTPStatus

import anyio

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.web.api.chat_answer import NO_RETRY
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.job import JobStatus

#: Seconds between two looks at a job: often at first, since most answers come soon.
_SOON_S, _LATER_S, _SOON_FOR_S = 0.02, 0.1, 3.0
#: Looks a second that all who wait here make together: many who wait look more seldom each.
_LOOKS_A_SECOND = 50
_waiting: set[str] = set()
#: Seconds of silence after which a stream says that somebody is still there.
KEEP_ALIVE_S = 5.0


async def ended(job: str) -> JobStatus:
    """Wait for a job to come to rest; where the time runs out, or nobody waits any more, it is cancelled."""
    *_, last = [status async for status in beats(job)]
    assert last is not None
    return last


async def beats(job: str) -> AsyncGenerator[JobStatus | None, None]:
    """Yield None whenever a while has passed, and last the job at rest; cancelled as `ended` says."""
    began = said = time.monotonic()
    limit_s = get_settings().api_answer_s
    over = False
    _waiting.add(job)
    try:
        while time.monotonic() - began < limit_s:
            status = await anyio.to_thread.run_sync(api.status, job)
            if status.rests or status.review:
                over = True
                yield status
                return
            if time.monotonic() - said >= KEEP_ALIVE_S:
                said = time.monotonic()
                yield None
            pause_s = _SOON_S if time.monotonic() - began < _SOON_FOR_S else _LATER_S
            await anyio.sleep(max(pause_s, len(_waiting) / _LOOKS_A_SECOND))
    finally:
        _waiting.discard(job)
        if not over:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_cancel, job)
    raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, f"job {job} had no answer within {limit_s:g} s", headers=NO_RETRY)


def _cancel(job: str) -> None:
    api.cancel(job, reason="nobody waits for its answer any more")
