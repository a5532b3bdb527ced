-- Keeps the reservations of a call in flight alive, and restores them where Redis had lost or released them.
--
-- KEYS: calls in flight (sorted set), then two per budget: money (hash), reservations (sorted set).
-- ARGV: 1 now ('': this server's clock), 2 permit, 3 lease s, 4 nanodollars, 5 '1' where calls in flight are limited.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local permit, nanos = ARGV[2], ARGV[4]
local expires = string.format('%.6f', now + tonumber(ARGV[3]))

if ARGV[5] == '1' then redis.call('ZADD', KEYS[1], expires, permit) end
for place = 2, #KEYS, 2 do
  local money, held = KEYS[place], KEYS[place + 1]
  if redis.call('EXISTS', money) == 1 then
    local amount = redis.call('HGET', money, 'r:' .. permit)
    if not amount or amount ~= nanos then
      redis.call('HINCRBY', money, 'reserved', nanos)
      redis.call('HSET', money, 'r:' .. permit, nanos)
    end
    redis.call('ZADD', held, expires, permit)
  end
end
return 'renewed'
