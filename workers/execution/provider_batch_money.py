"""The budgets of a provider batch: charged once with a guess when it is handed in, set right once when it is known."""

from collections.abc import Iterable

from firstline.config.shared_state.budget_counters import KEPT_S, nanos
from firstline.schemas.provider_batch import ProviderBatchOrder
from firstline.workers.providers.gateway import Reply
from firstline.workers.worker import Worker

# KEYS: mark, then money of each budget. ARGV: nanodollars to add to what is spent, seconds that the mark is kept.
_ADD_ONCE = """
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[2]) then return 0 end
for place = 2, #KEYS do
  if redis.call('EXISTS', KEYS[place]) == 1 then redis.call('HINCRBY', KEYS[place], 'spent', ARGV[1]) end
end
return 1
"""


async def charge(order: ProviderBatchOrder, worker: Worker, guess_usd: float | None) -> None:
    """Charge the budgets with what it is guessed to cost, however often it is said to be handed in."""
    if guess_usd is not None:
        await _add_once(order, worker, "charged", nanos(guess_usd))


async def correct(order: ProviderBatchOrder, worker: Worker, replies: Iterable[Reply]) -> None:
    """Set the budgets right by the difference between what it cost and what was guessed; unknown costs are not 0."""
    if order.reserved_usd is None:
        return
    costs = [reply.cost_usd for reply in replies]
    if None in costs:
        return
    cost_usd = sum(cost for cost in costs if cost is not None)
    await _add_once(order, worker, "corrected", nanos(cost_usd) - nanos(order.reserved_usd))


async def _add_once(order: ProviderBatchOrder, worker: Worker, what: str, amount: int) -> None:
    caps = order.batches[0].caps if order.batches else ()
    if caps:
        keys = [worker.keys.claim(f"{order.id}.{what}"), *(worker.keys.budget(cap.key) for cap in caps)]
        await worker.client.eval(_ADD_ONCE, len(keys), *keys, str(amount), str(KEPT_S))
