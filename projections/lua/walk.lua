-- Walks the order of creation from one end until a page of the tasks that are in all the sets is full.
--
-- KEYS[1]   the order: a sorted set of all tasks
-- KEYS[2..] the sets
-- ARGV[1]   how many tasks are wanted
-- ARGV[2]   how many tasks the walk may pass
-- ARGV[3]   how many tasks to read in one call
-- ARGV[4]   REV for newest first; else empty
--
-- Returns {1, tasks in their order}, or {0, {}} if the walk passed too many tasks first.
-- Nothing is written.

local wanted, walk_max, stretch_max = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local found, walked = {}, 0
while #found < wanted do
  local last = walked + stretch_max - 1
  local stretch
  if ARGV[4] == 'REV' then
    stretch = redis.call('ZRANGE', KEYS[1], walked, last, 'REV')
  else
    stretch = redis.call('ZRANGE', KEYS[1], walked, last)
  end
  if #stretch == 0 then
    break
  end
  local members = {}
  for i = 2, #KEYS do
    members[i - 1] = redis.call('SMISMEMBER', KEYS[i], unpack(stretch))
  end
  for i, task in ipairs(stretch) do
    local is_in_all = true
    for _, are_in in ipairs(members) do
      is_in_all = is_in_all and are_in[i] == 1
    end
    if is_in_all then
      found[#found + 1] = task
      if #found == wanted then
        break
      end
    end
  end
  walked = walked + #stretch
  if #found < wanted and walked >= walk_max then
    return {0, {}}
  end
end
return {1, found}
