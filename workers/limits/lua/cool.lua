-- Leaves a model alone for a while, longer each time it fails again. Faults of calls that were under way when it was
-- first left alone change nothing, unless the provider itself asks for more time.
--
-- KEYS: cool-down (hash).
-- ARGV: 1 now ('': this server's clock), 2 first length s, 3 longest length s, 4 '1' if the length is what the provider
--       asked for, 5 kind of fault, 6 '1' if one call must prove the model before the others go on.
-- Returns the seconds to wait.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local length, longest, asked = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local known = redis.call('HMGET', KEYS[1], 'until', 'strikes')
local ends, strikes = tonumber(known[1] or '0'), tonumber(known[2] or '0')

if ends > now and not (asked and now + length > ends) then return string.format('%.6f', ends - now) end
if ends <= now then strikes = strikes + 1 end
if not asked then length = length * 2 ^ math.min(strikes - 1, 30) end
length = math.min(length, longest)
redis.call('HSET', KEYS[1], 'until', string.format('%.6f', now + length), 'strikes', strikes, 'kind', ARGV[5],
  'probation', ARGV[6])
-- Remembered for as long again and a while, so that a model which fails again is left alone for longer.
local memory = ARGV[6] == '1' and 60 or 5
redis.call('PEXPIRE', KEYS[1], math.ceil((2 * length + memory) * 1000))
return string.format('%.6f', length)
