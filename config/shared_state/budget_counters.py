"""Budgets in Redis as the orchestrator keeps them: told from SQL what was spent, raised, read."""

import math
from dataclasses import dataclass
from typing import Any, cast

import redis

from firstline.config.shared_state.keys import Keys
from firstline.schemas.batch import BudgetCap

#: Money is counted in whole nanodollars: sums of integers are exact, sums of floats drift.
NANOS = 1_000_000_000
#: Seconds that an untouched budget is kept; one that is missing is told again from SQL.
KEPT_S = 30 * 24 * 3600

# KEYS: money. ARGV: spent, cap, seconds. What Redis knows beyond SQL (calls not yet judged) is never forgotten.
_SEED = """
redis.call('HSETNX', KEYS[1], 'reserved', '0')
local spent = redis.call('HGET', KEYS[1], 'spent')
if not spent or tonumber(spent) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'spent', ARGV[1]) end
redis.call('HSET', KEYS[1], 'cap', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
# KEYS: money. ARGV: cap. -> 0 where Redis does not know the budget.
_RAISE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'cap', ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Money:
    """Where a budget stands, in dollars.

    `spent_usd` holds the known costs and, for calls of which nobody told the cost, what had been reserved for them.
    """

    spent_usd: float
    reserved_usd: float
    cap_usd: float

    @property
    def left_usd(self) -> float:
        """What a new call may still reserve."""
        return max(0.0, self.cap_usd - self.spent_usd - self.reserved_usd)


def seed(client: redis.Redis, keys: Keys, cap: BudgetCap, spent_usd: float) -> None:
    """Tell Redis a budget's cap and what SQL says was spent; safe to repeat, also while calls are in flight."""
    client.eval(_SEED, 1, keys.budget(cap.key), nanos(spent_usd), nanos(cap.cap_usd), KEPT_S)


def raise_cap(client: redis.Redis, keys: Keys, key: str, cap_usd: float) -> bool:
    """Set a budget's cap; False where Redis does not know the budget (seed it)."""
    return bool(client.eval(_RAISE, 1, keys.budget(key), nanos(cap_usd)))


def read(client: redis.Redis, keys: Keys, key: str) -> Money | None:
    """Return where a budget stands, or None where Redis does not know it."""
    known = cast("list[Any]", client.hmget(keys.budget(key), ["spent", "reserved", "cap"]))
    spent, reserved, cap = known
    return None if cap is None else Money(int(spent) / NANOS, int(reserved) / NANOS, int(cap) / NANOS)


def forget(client: redis.Redis, keys: Keys, key: str) -> None:
    """Drop a budget that nothing will be spent from any more."""
    client.delete(keys.budget(key), reservations(keys, key))


def reservations(keys: Keys, key: str) -> str:
    """Return the Redis key of a budget's reservations, a sorted set of permits by the time they expire."""
    return f"{keys.budget(key)}:reservations"


def nanos(usd: float) -> int:
    """Return dollars as nanodollars, rounded up; an infinite cap becomes the largest one that counts exactly."""
    return min(math.ceil(round(usd * NANOS, 3)), 2**53) if math.isfinite(usd) else 2**53
