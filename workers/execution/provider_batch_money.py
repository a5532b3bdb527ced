"""The budgets of a bulk: what it really cost takes the place of what was reserved for it, once."""

from collections.abc import Iterable

from firstline.config.shared_state.budget_counters import KEPT_S, nanos
from firstline.schemas.provider_batch import BulkOrder
from firstline.workers.providers.gateway import Reply
from firstline.workers.worker import Worker

# KEYS: mark, then money of each budget. ARGV: nanodollars to add to what is spent, seconds that the mark is kept.
_CORRECT = """
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[2]) then return 0 end
for place = 2, #KEYS do
  if redis.call('EXISTS', KEYS[place]) == 1 then redis.call('HINCRBY', KEYS[place], 'spent', ARGV[1]) end
end
return 1
"""


async def correct(order: BulkOrder, worker: Worker, replies: Iterable[Reply]) -> None:
    """Set the budgets right by the difference between what a bulk cost and what was reserved for it."""
    rations = order.batches[0].rations if order.batches else ()
    if not rations or order.reserved_usd is None:
        return
    cost_usd = sum(reply.cost_usd or 0.0 for reply in replies)
    added = nanos(cost_usd) - nanos(order.reserved_usd)
    keys = [worker.keys.claim(f"{order.id}.money"), *(worker.keys.budget(ration.key) for ration in rations)]
    await worker.client.eval(_CORRECT, len(keys), *keys, str(added), str(KEPT_S))
