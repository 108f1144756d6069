-- Looks at a town before a command: how far its projections are, and some tasks, all of one moment. Writes nothing.
-- The keys of tasks and views are made here from their beginnings: those of one town lie in one slot of a cluster.
--
-- KEYS[1]        the ledger, a stream
-- KEYS[2]        the heads, a hash
-- KEYS[3]        the lease on projecting, a string with a time-out
-- KEYS[4]        the view of all ids, a sorted set
-- KEYS[5]        the view of adopted aliases; `:<alias>` follows where there are any
-- KEYS[6..5+n]   the checkpoints, hashes
-- ARGV[1]        the beginning of a snapshot's key; the task's id follows
-- ARGV[2]        the beginning of the key of the tasks right below a task, a set; its id follows
-- ARGV[3]        how many ids are found of a prefix, at most
-- ARGV[4]        MessagePack: {ids of tasks, aliases, prefixes of ids, fields of a checkpoint}
--
-- Returns {end, last, holder, remaining ms, {{field, …}, …}, {id or '', …}, {{id, …}, …}, {id, head, snapshot, children, …}}
--   end           the position that the last append gave, and last that of the last entry; '' without a stream
--   fields        of the snapshots' checkpoint, which is the first, '' where one is not there; none where the key is no hash.
--                 Of each other one a text, its first three fields between blanks, the third 0 where it is not there; '' without the others
--   holder        of the lease, '' where nobody holds it, 1 where something lies there that is no string
--   id or ''      of the adopted task with each alias
--   {id, …}       the ids that begin with each prefix
--   then          four for each task that was named, has one of the aliases, or is the only one with one of the prefixes
--     head        '' where the task never was
--     snapshot    '' where nothing lies at its key, 1 where something lies there that is no string
--     children    how many there are, -1 where the key is no set

local ids, aliases, prefixes, fields = unpack(cmsgpack.unpack(ARGV[4]))

local function text(value)
  if type(value) == 'table' then return 1 end
  return value or ''
end

local end_, last = '', ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then end_ = info[i + 1] end
    if info[i] == 'last-entry' and info[i + 1] then last = info[i + 1][1] end
  end
end

local first = redis.pcall('HMGET', KEYS[6], unpack(fields))
if first.err then
  first = {}
else
  for j = 1, #fields do first[j] = text(first[j]) end
end
local checkpoints = {first}
for i = 7, #KEYS do
  local values = redis.pcall('HMGET', KEYS[i], fields[1], fields[2], fields[3])
  local is_there = not values.err and values[1] and values[2]
  checkpoints[#checkpoints + 1] = is_there and values[1] .. ' ' .. values[2] .. ' ' .. (values[3] or '0') or ''
end

local adopted, has_adopted = {}, #aliases > 0 and redis.call('EXISTS', KEYS[5]) == 1
for i, alias in ipairs(aliases) do
  adopted[i] = has_adopted and text(redis.call('SRANDMEMBER', KEYS[5] .. ':' .. alias)) or ''
  if adopted[i] ~= '' then ids[#ids + 1] = adopted[i] end
end

local found = {}
for i, prefix in ipairs(prefixes) do
  found[i] = redis.call('ZRANGEBYLEX', KEYS[4], '[' .. prefix, '(' .. prefix .. '~', 'LIMIT', 0, ARGV[3])
  if #found[i] == 1 then ids[#ids + 1] = found[i][1] end
end

local tasks = {}
for _, id in ipairs(ids) do
  tasks[#tasks + 1] = id
  tasks[#tasks + 1] = text(redis.call('HGET', KEYS[2], id))
  tasks[#tasks + 1] = text(redis.pcall('GET', ARGV[1] .. id))
  local children = redis.pcall('SCARD', ARGV[2] .. id)
  tasks[#tasks + 1] = type(children) == 'table' and -1 or children
end

return {
  end_, last, text(redis.pcall('GET', KEYS[3])), redis.call('PTTL', KEYS[3]), checkpoints, adopted, found, tasks,
}
