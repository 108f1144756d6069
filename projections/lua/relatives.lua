-- Reads the tasks around a task: its parent, the first of the tasks right below it, and in which states all of those are.
--
-- KEYS[1]    the tasks right below it, a set
-- KEYS[2]    the order of creation: a sorted set of all tasks
-- KEYS[3..]  the tasks in each state, sets
-- ARGV[1]    the prefix of a snapshot's key, before the task's id. Such a key is in the slot of the others
-- ARGV[2]    the parent's id; '' if the task has none
-- ARGV[3]    how many of the tasks below it to return at most
-- ARGV[4]    how many tasks below it are put in order at most. If there are more, the order of creation is walked
--
-- Returns {parent, total, {count, …}, {id, snapshot, id, snapshot, …}}
--   parent    its snapshot; '' without one
--   total     how many tasks are right below it; -1 if the key is not a set
--   count     how many of these are in each state; none if there are too many to be put in order
--   id        the oldest first
--   snapshot  '' if its key is free, 1 if the key is not a string
-- Nothing is written.

local limit, ordered_max = tonumber(ARGV[3]), tonumber(ARGV[4])

local function snapshot(id)
  local value = redis.pcall('GET', ARGV[1] .. id)
  if type(value) == 'table' then return 1 end
  return value or ''
end

local parent = ARGV[2] == '' and '' or snapshot(ARGV[2])
local total = redis.pcall('SCARD', KEYS[1])
if type(total) == 'table' then
  return {parent, -1, {}, {}}
end

local ids, counts = {}, {}
if total > 0 and total <= ordered_max then
  local members = redis.call('SMEMBERS', KEYS[1])
  local numbers = redis.call('ZMSCORE', KEYS[2], unpack(members))
  local order = {}
  for i, id in ipairs(members) do
    order[id] = tonumber(numbers[i] or 0) or 0
  end
  table.sort(members, function(a, b)
    if order[a] ~= order[b] then return order[a] < order[b] end
    return a < b
  end)
  for i = 1, math.min(limit, #members) do ids[i] = members[i] end
  for i = 3, #KEYS do
    counts[#counts + 1] = redis.call('SINTERCARD', 2, KEYS[1], KEYS[i])
  end
elseif total > 0 then
  local walked, all = 0, redis.call('ZCARD', KEYS[2])
  while #ids < limit and walked < all do
    local tasks = redis.call('ZRANGE', KEYS[2], walked, walked + 999)
    local are_in = redis.call('SMISMEMBER', KEYS[1], unpack(tasks))
    for i, id in ipairs(tasks) do
      if are_in[i] == 1 and #ids < limit then ids[#ids + 1] = id end
    end
    walked = walked + #tasks
  end
end

local found = {}
for _, id in ipairs(ids) do
  found[#found + 1] = id
  found[#found + 1] = snapshot(id)
end
return {parent, total, counts, found}
