-- Reserves a call's place under its model's limits and its money in every budget: all of it or nothing.
--
-- KEYS: limits (hash), calls in flight (sorted set), cool-down (hash), then two per budget: money (hash), reservations
--       (sorted set).
-- ARGV: 1 now ('': this server's clock), 2 permit, 3 longest wait s, 4 lease s, 5 requests/s, 6 tokens/s, 7 calls in
--       flight ('' in 5-7: no limit), 8 tokens, 9 nanodollars, 10 burst s, 11 longest promise s.
--
-- Pace: the virtual scheduling form of the generic cell rate algorithm (ITU-T I.371). `requests_at` and `tokens_at` are
-- the times at which all that was granted will have flowed in; a call is granted a time, not a refusal, and whoever
-- asks first goes first, however many tokens it needs.

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function seconds(number) return string.format('%.6f', number) end

local now, permit, longest, lease = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local in_flight, tokens, nanos, burst = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])

-- A reservation whose worker fell silent gives its money back; its mark stays for a day, so that a late settlement
-- still counts, and counts once.
local function release_expired(money, held)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', seconds(now))) do
    local amount = redis.call('HGET', money, 'r:' .. id)
    if amount and amount ~= '0' then
      redis.call('HINCRBY', money, 'reserved', '-' .. amount)
      redis.call('HSET', money, 'r:' .. id, '0')
      redis.call('ZADD', held, seconds(now + 86400), id)
    else
      redis.call('HDEL', money, 'r:' .. id)
      redis.call('ZREM', held, id)
    end
  end
end

for place = 4, #KEYS, 2 do
  local money, held = KEYS[place], KEYS[place + 1]
  local budget = tostring((place - 4) / 2)
  if redis.call('EXISTS', money) == 0 then return {'unknown', budget} end
  release_expired(money, held)
  local known = redis.call('HMGET', money, 'spent', 'reserved', 'cap')
  local spent, reserved, cap = tonumber(known[1]), tonumber(known[2]), tonumber(known[3])
  if spent + tonumber(nanos) > cap then return {'spent', budget, known[1], known[2], known[3]} end
  if spent + reserved + tonumber(nanos) > cap then return {'held', budget, known[1], known[2], known[3]} end
end

if in_flight then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', seconds(now))
  if redis.call('ZCARD', KEYS[2]) >= in_flight then return {'full'} end
end

local known = redis.call('HMGET', KEYS[1], 'requests_at', 'tokens_at', 'requests_told', 'tokens_told', 'promised_at')
local cooled = tonumber(redis.call('HGET', KEYS[3], 'until') or '0')
if cooled - now > longest then return {'cooling', seconds(cooled - now)} end

local function least(limit, told) return limit and told and math.min(limit, told) or limit end

-- The earliest time at which a bucket that fills at `rate` and is full after `burst` seconds lets `amount` pass. What
-- is larger than the whole bucket passes when it is full, and leaves a debt.
local function earliest(rate, at, amount)
  return at - math.max(0, burst - amount / rate)
end

local request_rate = least(tonumber(ARGV[5]), tonumber(known[3] or ''))
local token_rate = least(tonumber(ARGV[6]), tonumber(known[4] or ''))
local requests_at, tokens_at = tonumber(known[1] or '0'), tonumber(known[2] or '0')
local at, share = math.max(now, cooled), 0
if request_rate then
  at = math.max(at, earliest(request_rate, requests_at, 1))
  share = 1 / request_rate
end
if token_rate then
  at = math.max(at, earliest(token_rate, tokens_at, tokens))
  share = math.max(share, tokens / token_rate)
end

-- Those sent away are told different times, as if they stood in a queue: else all would come back at once.
if at - now > longest then
  local promised = math.max(tonumber(known[5] or '0'), at)
  if promised - now < tonumber(ARGV[11]) then
    redis.call('HSET', KEYS[1], 'promised_at', seconds(promised + share))
    redis.call('EXPIRE', KEYS[1], 3600)
  end
  return {'later', seconds(promised - now)}
end

if request_rate then
  redis.call('HSET', KEYS[1], 'requests_at', seconds(math.max(requests_at, at) + 1 / request_rate))
end
if token_rate then
  redis.call('HSET', KEYS[1], 'tokens_at', seconds(math.max(tokens_at, at) + tokens / token_rate))
end
if request_rate or token_rate then redis.call('EXPIRE', KEYS[1], 3600) end
if in_flight then
  redis.call('ZADD', KEYS[2], seconds(now + lease), permit)
  redis.call('EXPIRE', KEYS[2], 3600)
end
for place = 4, #KEYS, 2 do
  if redis.call('HSETNX', KEYS[place], 'r:' .. permit, nanos) == 1 then
    redis.call('HINCRBY', KEYS[place], 'reserved', nanos)
  end
  redis.call('ZADD', KEYS[place + 1], seconds(now + lease), permit)
end
return {'granted', seconds(at - now)}
