-- Commits what a projector folded: snapshots, views and checkpoints in one step.
-- Every checkpoint must still be where the batch started; otherwise another projector was first and nothing is written.
-- Nor is anything written if the batch's last event is not in the ledger: it was read from a server that another one has
-- replaced, and is lost.
--
-- KEYS[1..n]      the checkpoints, hashes: position, schema_version, generation; that of the snapshots is the first and also has `views`
-- KEYS[n+1..n+s]  the snapshots that change
-- KEYS[n+s+1..]   the views that change, and the keys to drop
-- KEYS[#KEYS]     the ledger, a stream, if ARGV[7] is `events`
-- ARGV[1]         n
-- ARGV[2]         s
-- ARGV[3]         the position the batch started after
-- ARGV[4]         the position the batch ends at
-- ARGV[5]         the names of all views that this program projects
-- ARGV[6]         the changes, MessagePack: a list of {operation, index into KEYS from 0, argument, …}
--                 operation: DROP (any type) | SADD member … | SREM member … | ZADD score member … | ZREM member …
--                            | COUNT field increment …   (a hash; a field that reaches 0 is deleted)
-- ARGV[7]         `events`: the batch has events, and they must be in the ledger; else empty
-- then            a pair for each checkpoint: schema version, generation
-- then            the snapshots; an empty one is deleted
--
-- Returns 1 when committed, 0 when another projector was first or the events are lost. WRONGTYPE: a key is not what it should be; nothing was
-- written.

local checkpoints, snapshots = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 1, checkpoints do
  local position, generation = unpack(redis.call('HMGET', KEYS[i], 'position', 'generation'))
  if (position or '0-0') ~= ARGV[3] or (generation or '0') ~= ARGV[7 + 2 * i] then
    return 0
  end
end
if ARGV[7] == 'events' and #redis.call('XRANGE', KEYS[#KEYS], ARGV[4], ARGV[4]) == 0 then
  return 0
end

-- A script does not roll back, so it looks for keys of a wrong type before the first write. A snapshot replaces whatever is
-- at its key.
local changes = cmsgpack.unpack(ARGV[6])
local dropped = {}
local types = {
  SADD = 'set', SREM = 'set', ZADD = 'zset', ZREM = 'zset', COUNT = 'hash',
}
for _, change in ipairs(changes) do
  local key = KEYS[change[2] + 1]
  if change[1] == 'DROP' then
    dropped[key] = true
  elseif not dropped[key] then
    local found = redis.call('TYPE', key).ok
    if found ~= 'none' and found ~= types[change[1]] then
      return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found)
    end
    if change[1] == 'COUNT' then
      for i = 3, #change, 2 do
        local count = redis.call('HGET', key, change[i])
        if count and (#count > 15 or not string.match(count, '^%-?%d+$')) then
          return redis.error_reply('WRONGTYPE ' .. key .. ' holds something that is no count')
        end
      end
    end
  end
end

for _, change in ipairs(changes) do
  local operation, key = change[1], KEYS[change[2] + 1]
  if operation == 'DROP' then
    redis.call('UNLINK', key)
  elseif operation == 'COUNT' then
    for i = 3, #change, 2 do
      if redis.call('HINCRBY', key, change[i], change[i + 1]) == 0 then
        redis.call('HDEL', key, change[i])
      end
    end
  else
    redis.call(operation, key, unpack(change, 3))
  end
end

-- Half of a batch is snapshots, and a call for each takes longer than writing them.
local pairs_max = 2000
local first_snapshot, written = 7 + 2 * checkpoints, {}
for i = 1, snapshots do
  local key, snapshot = KEYS[checkpoints + i], ARGV[first_snapshot + i]
  if snapshot == '' then
    redis.call('DEL', key)
  else
    written[#written + 1] = key
    written[#written + 1] = snapshot
  end
  if #written == 2 * pairs_max or (i == snapshots and #written > 0) then
    redis.call('MSET', unpack(written))
    written = {}
  end
end

for i = 1, checkpoints do
  redis.call('HSET', KEYS[i], 'position', ARGV[4], 'schema_version', ARGV[6 + 2 * i], 'generation', ARGV[7 + 2 * i])
end
if redis.call('HGET', KEYS[1], 'views') ~= ARGV[5] then
  redis.call('HSET', KEYS[1], 'views', ARGV[5])
end
return 1
