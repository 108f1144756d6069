-- Puts a ledger that was written beside its place into it, whole, with its heads. Nothing is there before.
--
-- KEYS[1]  the staged ledger, a stream
-- KEYS[2]  the staged heads, a hash
-- KEYS[3]  the ledger's place
-- KEYS[4]  the heads' place
-- ARGV[1]  the position of the staged ledger's last event
-- ARGV[2]  how many events it has
--
-- Returns one of
--   'placed'    both are at their places, and nothing is staged any more
--   'occupied'  something is at one of the places; nothing was written
--   'changed'   the staged ledger or its heads are not as they were written; nothing was written

if redis.call('EXISTS', KEYS[3], KEYS[4]) > 0 then
  return 'occupied'
end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not last or last[1] ~= ARGV[1] or redis.call('XLEN', KEYS[1]) ~= tonumber(ARGV[2])
  or redis.call('EXISTS', KEYS[2]) == 0 then
  return 'changed'
end
redis.call('RENAME', KEYS[1], KEYS[3])
redis.call('RENAME', KEYS[2], KEYS[4])
return 'placed'
