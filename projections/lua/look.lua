-- Looks at a town before a command: how far its projections are, and some tasks, all of one moment. Writes nothing.
--
-- KEYS[1]          the ledger, a stream
-- KEYS[2]          the heads, a hash
-- KEYS[3]          the lease on projecting, a string with a time-out
-- KEYS[4..3+n]     the checkpoints, hashes
-- KEYS[4+n..3+n+t] the snapshots of the tasks
-- KEYS[4+n+t..]    the tasks right below each of them, sets
-- ARGV[1]          n
-- ARGV[2]          how many fields of a checkpoint are named, m
-- ARGV[3..2+m]     the fields
-- then             the ids of the tasks
--
-- Returns {end, last, holder, remaining ms, {fields of a checkpoint, …}, {head, …}, {snapshot, …}, {children, …}}
--   end         the position that the last append gave, and last that of the last entry; both '' without a stream
--   a field     '' where it is not there; a checkpoint is '' where its key is no hash
--   a head      '' where the task never was
--   a snapshot  '' where nothing lies at its key, 1 where something lies there that is no string
--   children    how many there are, -1 where the key is no set

local checkpoints, fields = tonumber(ARGV[1]), tonumber(ARGV[2])
local tasks = #ARGV - 2 - fields
local names = {}
for i = 1, fields do
  names[i] = ARGV[2 + i]
end

local end_, last = '', ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then end_ = info[i + 1] end
    if info[i] == 'last-entry' and info[i + 1] then last = info[i + 1][1] end
  end
end

local function text(value)
  return value or ''
end

local found = {}
for i = 1, checkpoints do
  local values = redis.pcall('HMGET', KEYS[3 + i], unpack(names))
  if values.err then
    found[i] = ''
  else
    for j = 1, fields do values[j] = text(values[j]) end
    found[i] = values
  end
end

local heads, snapshots, children = {}, {}, {}
for i = 1, tasks do
  local key = KEYS[3 + checkpoints + i]
  heads[i] = text(redis.call('HGET', KEYS[2], ARGV[2 + fields + i]))
  local snapshot = redis.pcall('GET', key)
  if type(snapshot) == 'table' then
    snapshot = 1
  end
  snapshots[i] = text(snapshot)
  local count = redis.pcall('SCARD', KEYS[3 + checkpoints + tasks + i])
  children[i] = type(count) == 'table' and -1 or count
end

local holder = redis.pcall('GET', KEYS[3])
if type(holder) == 'table' then holder = '' end
return {end_, last, text(holder), redis.call('PTTL', KEYS[3]), found, heads, snapshots, children}
