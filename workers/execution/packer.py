"""Gathers items of a batch that come to the same step at about the same time, and asks for them in one call."""

import asyncio
from dataclasses import dataclass, field, replace

from pydantic_core import to_json

from firstline.schemas.base import JsonObject, digest
from firstline.schemas.batch import Batch
from firstline.schemas.skill import Skill
from firstline.workers.durability.paid_answers import PaidAnswer
from firstline.workers.execution.calling import CallResult, send
from firstline.workers.execution.packing import PACK, packed_messages, packed_schema, share_out
from firstline.workers.limits.cooldowns import Struck
from firstline.workers.providers.gateway import Call
from firstline.workers.worker import Worker

#: Seconds that an item waits for others to share its call.
_LINGER_S = 0.02
#: An item with longer inputs is asked alone: packing saves the static part of the prompt, which is then the lesser one.
LONGEST_BYTES = 6_000
MAX_TOKENS = ("max_tokens", "max_completion_tokens")


@dataclass(slots=True)
class _Group:
    """Items that wait for their call to be made."""

    skill: Skill
    call: Call
    inputs: list[JsonObject] = field(default_factory=list)
    shares: "list[asyncio.Future[CallResult | None]]" = field(default_factory=list)


class Packer:
    """Packs the calls of one batch, which is all that is in this worker of one job and tier."""

    def __init__(self, batch: Batch, worker: Worker) -> None:
        self._batch = batch
        self._worker = worker
        self._groups: dict[tuple[str, str], _Group] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, skill: Skill, inputs: JsonObject, call: Call) -> CallResult | None:
        """Return an item's share of a pack's reply; None when no other item came in time, so that it is asked alone."""
        loop = asyncio.get_running_loop()
        share: asyncio.Future[CallResult | None] = loop.create_future()
        key = (skill.name, call.model.name)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(skill, call)
            loop.call_later(_LINGER_S, self._close, key, group)
        group.inputs.append(inputs)
        group.shares.append(share)
        if len(group.shares) == skill.pack:
            self._close(key, group)
        return await share

    def _close(self, key: tuple[str, str], group: _Group) -> None:
        """Have a group asked that is full or has waited; it is asked once."""
        if self._groups.get(key) is not group:
            return
        del self._groups[key]
        if len(group.shares) == 1:
            _give(group.shares[0], None)
            return
        task = asyncio.get_running_loop().create_task(self._ask(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, group: _Group) -> None:
        try:
            call, batch = _packed(group), self._batch
            who = Struck(batch.tenant, batch.job, f"pack {digest(group.inputs, length=12)}")
            result = await send(call, batch.tier, batch, self._worker, who=who)
            shares = _shares(result, group)
        except BaseException as error:
            for share in group.shares:
                if not share.done():
                    share.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for share, part in zip(group.shares, shares, strict=True):
            _give(share, part)


def is_short(inputs: JsonObject) -> bool:
    """Say whether an item's inputs are short enough to share a call."""
    return len(to_json(inputs)) <= LONGEST_BYTES


def _give(share: "asyncio.Future[CallResult | None]", result: CallResult | None) -> None:
    if not share.done():
        share.set_result(result)


def _packed(group: _Group) -> Call:
    """Return the call for all items of a group; a bound on output tokens that is meant for one item grows with them."""
    call, count = group.call, len(group.inputs)
    bounds = {**call.model.params, **call.params}
    grown = {name: bound * count for name in MAX_TOKENS if isinstance(bound := bounds.get(name), int)}
    return replace(
        call,
        messages=packed_messages(group.skill, group.inputs),
        static=1,
        schema=packed_schema(group.skill),
        schema_name=f"{call.schema_name}{PACK}",
        params={**call.params, **grown},
    )


def _shares(result: CallResult, group: _Group) -> list[CallResult]:
    """Share out what came of a pack's call; what was paid on its way is the first one's."""
    came: list[CallResult]
    match result.outcome:
        case PaidAnswer(started_at=at, reply=reply):
            came = [CallResult(PaidAnswer(at, share)) for share in share_out(reply, group.skill, group.inputs)]
        case other:
            came = [CallResult(other)] * len(group.inputs)
    return [replace(came[0], probes=result.probes), *came[1:]]
