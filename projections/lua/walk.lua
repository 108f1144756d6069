-- Walks the order of creation from one end until a page of the tasks that are in all the sets is full.
--
-- KEYS[1]   the order: a sorted set of all tasks
-- KEYS[2..] the sets; the one that has the fewest tasks first is the quickest
-- ARGV[1]   how many tasks are wanted
-- ARGV[2]   how many tasks the walk may pass
-- ARGV[3]   how many tasks to read in one call
-- ARGV[4]   REV for newest first; else empty
--
-- Returns {1, tasks in their order}, or {0, {}} if the walk passed too many tasks first.
-- Nothing is written.

local wanted, walk_max, stretch_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

-- Those of the tasks that are in the set, in their order.
local function members_of(set, tasks)
  if #tasks == 0 then
    return tasks
  end
  local are_in, members = redis.call('SMISMEMBER', set, unpack(tasks)), {}
  for i = 1, #tasks do
    if are_in[i] == 1 then
      members[#members + 1] = tasks[i]
    end
  end
  return members
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
  for i = 2, #KEYS do
    tasks = members_of(KEYS[i], tasks)
  end
  for i = 1, math.min(#tasks, wanted - #found) do
    found[#found + 1] = tasks[i]
  end
  if #found < wanted and walked >= walk_max then
    return {0, {}}
  end
end
return {1, found}
