"""Money of requests that are passed on: the budgets of a tenant and of everyone hold them as they hold jobs."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio

from firstline.config.shared_state.budget_counters import seed
from firstline.config.shared_state.redis import connect_async
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.money.budgets import Cap
from firstline.orchestrator.web.api.chat_answer import NO_RETRY
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.tier import Limits
from firstline.workers.estimates.call_estimate import estimate
from firstline.workers.limits.permit import NOTHING, Permit, used
from firstline.workers.limits.redis_scripts import Scripts
from firstline.workers.limits.reservations import Reservations
from firstline.workers.loop.background import Background
from firstline.workers.providers.gateway import Call, Reply


@dataclass
class Purse:
    """Reserves what a call may cost before it is made, on the web process's loop; nothing where there is no budget."""

    engine: Context
    _reservations: Reservations = field(init=False)

    def __post_init__(self) -> None:
        settings = self.engine.settings
        scripts = Scripts(connect_async(settings.redis_url))
        self._reservations = Reservations(scripts=scripts, keys=settings.keys, background=Background())

    async def reserve(self, call: Call, caps: Sequence[Cap]) -> Permit:
        """Reserve a call's money in every budget; Refusal where one has no room for it."""
        # A name of its own: the pace and the cool-downs of workers' calls do not hold what is passed on.
        model = call.model.evolve(name="passed-on", api_base=None, limits=Limits())
        found = tuple(cap.as_message for cap in caps)
        permit = Permit(secrets.token_hex(8), model, found, cost_usd=estimate(call).cost_usd)
        while True:
            said = await self._reservations.take(permit)
            match said:
                case ["granted", *_]:
                    return permit
                case ["unknown", place, *_]:
                    await anyio.to_thread.run_sync(self._tell, caps[int(place)])
                case ["spent" | "held", place, *_]:
                    cap = caps[int(place)]
                    detail = f"{cap.words} has no room for this request; {cap.mend}"
                    raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, detail, headers=NO_RETRY)
                case _:
                    raise AssertionError(f"nothing but money is reserved, and Redis says {said}")

    async def settle(self, permit: Permit, reply: Reply | None) -> None:
        """Put what a call cost in the place of what was reserved; None: it was not made."""
        await self._reservations.settle(permit, NOTHING if reply is None else used(permit, reply))

    def _tell(self, cap: Cap) -> None:
        with self.engine.db.reading() as tx:
            spent_usd = cap.spent(tx)
        seed(self.engine.redis, self.engine.settings.keys, cap.as_message, spent_usd)
