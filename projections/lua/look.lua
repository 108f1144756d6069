-- Reads a town before a command: how far its projections are, and some tasks, all at one moment. Writes nothing.
-- The keys of tasks and views are made here from prefixes. That is safe: a town's keys are in one slot of a cluster.
--
-- KEYS[1]        the ledger, a stream
-- KEYS[2]        the heads, a hash
-- KEYS[3]        the lease on projecting, a string with a time-out
-- KEYS[4]        the view of all ids, a sorted set
-- KEYS[5]        the view of adopted aliases; the set of one alias is at this key with `:<alias>`
-- KEYS[6]        the hash that counts the open tasks right below each task
-- KEYS[7]        the hash that counts the open tasks that need each task; the set of those that are linked to a task is at this
--                key with `:<kind>:<id>`
-- KEYS[8]        the set of the tasks that are blocked
-- KEYS[9]        the sorted set of when tasks may begin at the earliest
-- KEYS[10..9+n]  the checkpoints, hashes
-- ARGV[1]        the prefix of a snapshot's key, before the task's id
-- ARGV[2]        the prefix of the key of the tasks right below a task, a set, before its id
-- ARGV[3]        how many ids to return for a prefix, at most
-- ARGV[4]        MessagePack: {ids of tasks, aliases, prefixes of ids, fields of a checkpoint, agents, actor, kinds of links}. The
--                actor is as it stands in an event, `"actor":"…"`, or '' if nothing is asked about it
-- ARGV[5]        the prefix of the key of an agent's tasks, a set, before its name
-- ARGV[6]        in how many of the last events to look for the actor
-- ARGV[7]        positions that the caller was told of, the last one first, separated by blanks
--
-- Returns {end, last, holder, remaining ms, {{field, …}, …}, {id or '', …}, {{id, …}, …},
--          {id, head, snapshot, children, open children, dependents, is blocked, from,
--           kinds, …},
--          {has tasks, …}, is seen, missing}
--   end           the position of the last append; '' without a stream
--   last          the position of the last entry; '' without a stream
--   fields        of the snapshots' checkpoint (the first): '' for a missing field, no fields if the key is not a hash.
--                 Each other checkpoint is a text of its first three fields, separated by blanks. The third is 0 if it is
--                 missing; the text is '' if one of the others is missing
--   holder        of the lease; '' if there is none, 1 if the key is not a string
--   id or ''      of the adopted task with each alias
--   {id, …}       the ids that begin with each prefix
--   then          nine values for each task that was named, has one of the aliases, or is the only one with a prefix
--     head        '' if the task never existed
--     snapshot    '' if its key is free, 1 if the key is not a string
--     children    how many tasks are right below it; -1 if the key is not a set
--     open children, dependents    how many open tasks are right below it, and need it; -1 if that is no count
--     is blocked  1 or 0; -1 if the key is not a set
--     from        when it may begin, ms since 1970; '' for at any time, 1 if the key is not a sorted set
--     kinds       how many kinds of links lead to it
--   has tasks     1 or 0 for each agent
--   is seen       0 if the actor was asked about and caused none of the last events, else 1
--   missing       the first position that the caller was told of and where no event is; '' if all are there

local ids, aliases, prefixes, fields, agents, actor, kinds = unpack(cmsgpack.unpack(ARGV[4]))

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

local first = redis.pcall('HMGET', KEYS[10], unpack(fields))
if first.err then
  first = {}
else
  for j = 1, #fields do first[j] = text(first[j]) end
end
local checkpoints = {first}
for i = 11, #KEYS do
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

local function count(key, id)
  local found = redis.pcall('HGET', key, id)
  if not found then return 0 end
  return type(found) == 'string' and string.match(found, '^%d+$') and #found <= 15 and tonumber(found) or -1
end

local tasks = {}
for _, id in ipairs(ids) do
  tasks[#tasks + 1] = id
  tasks[#tasks + 1] = text(redis.call('HGET', KEYS[2], id))
  tasks[#tasks + 1] = text(redis.pcall('GET', ARGV[1] .. id))
  local children = redis.pcall('SCARD', ARGV[2] .. id)
  tasks[#tasks + 1] = type(children) == 'table' and -1 or children
  tasks[#tasks + 1] = count(KEYS[6], id)
  tasks[#tasks + 1] = count(KEYS[7], id)
  local is_blocked = redis.pcall('SISMEMBER', KEYS[8], id)
  tasks[#tasks + 1] = type(is_blocked) == 'table' and -1 or is_blocked
  tasks[#tasks + 1] = text(redis.pcall('ZSCORE', KEYS[9], id))
  local sets = {}
  for i, kind in ipairs(kinds) do sets[i] = KEYS[7] .. ':' .. kind .. ':' .. id end
  tasks[#tasks + 1] = redis.call('EXISTS', unpack(sets))
end

local have_tasks = {}
for i, agent in ipairs(agents) do have_tasks[i] = redis.call('EXISTS', ARGV[5] .. agent) end

-- Nearly always one of the very last events is of who acts now.
local is_seen = actor == '' and 1 or 0
for _, count in ipairs({1, tonumber(ARGV[6])}) do
  if is_seen == 1 then break end
  for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', count)) do
    if entry[2][2] and string.find(entry[2][2], actor, 1, true) then
      is_seen = 1
      break
    end
  end
end

-- The last event need not be looked for.
local missing = ''
for told in string.gmatch(ARGV[7], '%S+') do
  if missing == '' and told ~= last and #redis.call('XRANGE', KEYS[1], told, told) == 0 then missing = told end
end

return {
  end_, last, text(redis.pcall('GET', KEYS[3])), redis.call('PTTL', KEYS[3]), checkpoints, adopted, found, tasks,
  have_tasks, is_seen, missing,
}
