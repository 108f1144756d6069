-- Walks the order of creation from one end until a page of the tasks that are in the right sets is full.
--
-- KEYS[1]   the order: a sorted set of all tasks
-- KEYS[2..] the sets that have each task; the one that has the fewest tasks first is the quickest
--           then the sets of which one has each task, if there are any
--           then the sets that have none of the tasks
-- ARGV[1]   how many tasks are wanted
-- ARGV[2]   how many tasks the walk may pass
-- ARGV[3]   how many tasks to read in one call
-- ARGV[4]   REV for newest first; else empty
-- ARGV[5]   how many sets have each task
-- ARGV[6]   of how many sets one has each task
--
-- Returns {1, tasks in their order}, or {0, {}} if the walk passed too many tasks first.
-- Nothing is written.

local wanted, walk_max, stretch_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local last_each = 1 + tonumber(ARGV[5])
local last_either = last_each + tonumber(ARGV[6])

-- Those of the tasks that are in one of the sets from `first` to `last`, or in none of them, in their order.
local function only(tasks, first, last, is_in)
  if #tasks == 0 or first > last then
    return tasks
  end
  local are_in = redis.call('SMISMEMBER', KEYS[first], unpack(tasks))
  for set = first + 1, last do
    local in_this = redis.call('SMISMEMBER', KEYS[set], unpack(tasks))
    for i = 1, #tasks do
      are_in[i] = math.max(are_in[i], in_this[i])
    end
  end
  local fitting = {}
  for i = 1, #tasks do
    if are_in[i] == is_in then
      fitting[#fitting + 1] = tasks[i]
    end
  end
  return fitting
end

local found, walked = {}, 0
while #found < wanted do
  local last = walked + stretch_max - 1
  local tasks
  if ARGV[4] == 'REV' then
    tasks = redis.call('ZRANGE', KEYS[1], walked, last, 'REV')
  else
    tasks = redis.call('ZRANGE', KEYS[1], walked, last)
  end
  if #tasks == 0 then
    break
  end
  walked = walked + #tasks
  -- Each set is asked only of what those before it have.
  for set = 2, last_each do
    tasks = only(tasks, set, set, 1)
  end
  tasks = only(tasks, last_each + 1, last_either, 1)
  tasks = only(tasks, last_either + 1, #KEYS, 0)
  for i = 1, math.min(#tasks, wanted - #found) do
    found[#found + 1] = tasks[i]
  end
  if #found < wanted and walked >= walk_max then
    return {0, {}}
  end
end
return {1, found}
