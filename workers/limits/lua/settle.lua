-- Puts what a call really used in the place of what was reserved for it. Repeating it changes no money.
--
-- KEYS: limits (hash), calls in flight (sorted set), then two per budget: money (hash), reservations (sorted set).
-- ARGV: 1 now ('': this server's clock), 2 permit, 3 nanodollars spent, 4 requests and 5 tokens used beyond the
--       reservation (negative: fewer), 6 requests/s and 7 tokens/s of the pace, 8 and 9 the same as the provider told
--       them, 10 requests and 11 tokens that it said were left ('' in 6-11: unknown), 12 tokens of a call like this,
--       13 age of what it said in s, 14 burst s.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function seconds(number) return string.format('%.6f', number) end

local permit, burst, said_at = ARGV[2], tonumber(ARGV[14]), now - tonumber(ARGV[13])
redis.call('ZREM', KEYS[2], permit)

-- Where the provider has less left than the next call needs (somebody else uses the same key, or it counts more than
-- we do), the next call waits until that much has flowed in.
local function settle_pace(name, extra, rate, told, left, need)
  if not rate then return end
  if told then redis.call('HSET', KEYS[1], name .. '_told', seconds(told)) end
  local at = tonumber(redis.call('HGET', KEYS[1], name .. '_at') or '0')
  local moved = at + extra / rate
  if left and left < need then
    moved = math.max(moved, said_at + (need - left) / rate + math.max(0, burst - need / rate))
  end
  if moved ~= at then redis.call('HSET', KEYS[1], name .. '_at', seconds(moved)) end
  redis.call('EXPIRE', KEYS[1], 3600)
end

settle_pace('requests', tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[8]), tonumber(ARGV[10]), 1)
settle_pace('tokens', tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[9]), tonumber(ARGV[11]), tonumber(ARGV[12]))

for place = 3, #KEYS, 2 do
  local money, held = KEYS[place], KEYS[place + 1]
  local amount = redis.call('HGET', money, 'r:' .. permit)
  if amount then
    if amount ~= '0' then redis.call('HINCRBY', money, 'reserved', '-' .. amount) end
    redis.call('HINCRBY', money, 'spent', ARGV[3])
    redis.call('HDEL', money, 'r:' .. permit)
  end
  redis.call('ZREM', held, permit)
end
return 'settled'
