-- Takes, renews or gives up a lease: a key with a time-out that names its holder.
--
-- KEYS[1]  the lease, a string
-- ARGV[1]  the holder
-- ARGV[2]  for how long, in ms; 0 gives it up
--
-- Returns 1 when the holder has it now (or gave it up), 0 when another holder has it. A key without a time-out is no lease.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) >= 0 then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
