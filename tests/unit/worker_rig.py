"""A worker without a process: the real code on a pretended Redis and a gateway that a test scripts."""

import asyncio
from collections.abc import Callable, Iterable

import fakeredis

from firstline.config.shared_state.keys import Keys
from firstline.schemas.base import JsonObject
from firstline.schemas.batch import Batch, ItemTrail, Todo, Trail, Work
from firstline.schemas.plan import PlannedStep, Step
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Tier, TierKind
from firstline.workers.durability.paid_answers import PaidAnswers
from firstline.workers.execution.batch_run import run_batch
from firstline.workers.limits.gate import Gate
from firstline.workers.providers.fake import Line, ScriptedGateway
from firstline.workers.providers.gateway import Call, Gateway, Reply
from firstline.workers.worker import Worker

LABEL: JsonObject = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}},
    "required": ["label"],
    "additionalProperties": False,
}
A, B = {"label": "a"}, {"label": "b"}
TOOLS = Tier(name="tools", kind=TierKind.TOOLS)


class Gated:
    """A gateway that is a function of the call."""

    def __init__(self, reply: Callable[[Call], Reply]) -> None:
        self._reply = reply
        self.calls: list[Call] = []

    async def call(self, call: Call, /) -> Reply:
        self.calls.append(call)
        await asyncio.sleep(0)
        return self._reply(call)


def skill(**changes: object) -> Skill:
    """Return a skill that sorts texts into a and b."""
    given = {"name": "sort", "instructions": "Sort it.", "input": {"text": {}}, "output": LABEL, **changes}
    return Skill.model_validate(given)


def tier(*models: str, name: str = "cheap") -> Tier:
    """Return a tier of models of these names."""
    return Tier(name=name, models=tuple(Model(name=model) for model in models or ("m1",)))


def planned(name: str, of: Skill, *, start: str = "cheap", **changes: object) -> PlannedStep:
    """Return a step that asks a skill."""
    step = Step.model_validate({"name": name, "skill": of.name, **changes})
    return PlannedStep(step=step, segment=0, start_tier=start, policy=of.policy)


def work(*texts: str, step: str = "s") -> tuple[Work, ...]:
    """Return one item a text, all waiting at a step."""
    return tuple(
        Work(item=n, item_id=str(n), input={"text": text}, todo=(Todo(step=step),)) for n, text in enumerate(texts)
    )


def batch(steps: Iterable[PlannedStep], skills: Iterable[Skill], items: tuple[Work, ...], **changes: object) -> Batch:
    """Return a batch for the tier `cheap`, below `frontier`."""
    given: dict[str, object] = {
        "id": "b1",
        "job": "j1",
        "segment": 0,
        "shard": 0,
        "tier": tier(),
        "ladder": ("cheap", "frontier"),
        "steps": tuple(steps),
        "skills": {one.name: one for one in skills},
        "work": items,
    }
    return Batch.model_validate({**given, **changes})


def simple(*texts: str, of: Skill | None = None, **changes: object) -> Batch:
    """Return a batch of one step."""
    one = of or skill()
    return batch([planned("s", one)], [one], work(*texts), **changes)


class Rig:
    """Runs batches; each run is a worker process of its own on one Redis that stays."""

    def __init__(self, gateway: Gateway | Iterable[Line]) -> None:
        self.gateway = gateway if hasattr(gateway, "call") else ScriptedGateway(gateway)
        self.server = fakeredis.FakeServer()

    @property
    def calls(self) -> list[Call]:
        return self.gateway.calls  # type: ignore[union-attr]

    def run(
        self,
        given: Batch,
        *,
        resumed: bool = False,
        before: Callable[[Worker], object] | None = None,
        during: Callable[[Worker], object] | None = None,
    ) -> Trail:
        """Return the trail; both ways through JSON, as on the wire. `during` is called shortly after the start."""
        return Trail.model_validate_json(asyncio.run(self._run(given, resumed, before, during)).model_dump_json())

    def item(self, given: Batch, *, resumed: bool = False) -> ItemTrail:
        """Return the trail of a batch's only item."""
        (only,) = self.run(given, resumed=resumed).items
        return only

    async def _run(
        self,
        given: Batch,
        resumed: bool,
        before: Callable[[Worker], object] | None,
        during: Callable[[Worker], object] | None,
    ) -> Trail:
        client, keys = fakeredis.FakeAsyncRedis(server=self.server, decode_responses=True), Keys("test")
        worker = Worker(
            name="w1",
            gateway=self.gateway,  # type: ignore[arg-type]
            client=client,
            keys=keys,
            paid=PaidAnswers(client, keys),
            gate=Gate(client=client, keys=keys),
        )
        if before is not None:
            before(worker)
        received = Batch.model_validate_json(given.model_dump_json())
        if during is not None:
            asyncio.get_running_loop().call_later(0.1, during, worker)
        with worker.tracking(received):
            return await run_batch(received, worker, resumed=resumed)
