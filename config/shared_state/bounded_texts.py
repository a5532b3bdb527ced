"""Texts in Redis that are bounded in all: the oldest go, as this Redis evicts nothing and carries the queues."""

from dataclasses import dataclass
from typing import Any

#: KEYS: text, ages, sizes. ARGV: the text, seconds, its name, what a text's key begins with, bytes of all at most.
_KEEP = """
local time = redis.call('TIME')
local now = tonumber(time[1])
local function forget(name)
  local size = redis.call('HGET', KEYS[3], name)
  redis.call('ZREM', KEYS[2], name)
  redis.call('HDEL', KEYS[3], name)
  redis.call('DEL', ARGV[4] .. name)
  redis.call('HINCRBY', KEYS[3], 'all', -tonumber(size or '0'))
end
forget(ARGV[3])
local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
while oldest[1] and (tonumber(oldest[2]) < now - tonumber(ARGV[2])
    or tonumber(redis.call('HGET', KEYS[3], 'all') or '0') + #ARGV[1] > tonumber(ARGV[5])) do
  forget(oldest[1])
  oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%d.%06d', time[1], time[2]), ARGV[3])
redis.call('HSET', KEYS[3], ARGV[3], #ARGV[1])
redis.call('HINCRBY', KEYS[3], 'all', #ARGV[1])
for _, key in ipairs({KEYS[2], KEYS[3]}) do redis.call('EXPIRE', key, ARGV[2]) end
"""


@dataclass(frozen=True, slots=True)
class BoundedTexts:
    """Texts that are kept side by side, each under a digest."""

    #: What their keys begin with. Beside them stand `ages`, a sorted set of digests by when their texts were written,
    #: and `sizes`, a hash of the texts' bytes and, as `all`, of their sum: no digest is called so.
    prefix: str
    kept_s: int
    most_bytes: int

    def keeping(self, digest: str, text: bytes) -> tuple[Any, ...]:
        """Return the arguments of EVAL that keep a text, and forget the oldest that have no room beside it."""
        keys = tuple(self.prefix + name for name in (digest, "ages", "sizes"))
        return _KEEP, len(keys), *keys, text, str(self.kept_s), digest, self.prefix, str(self.most_bytes)
