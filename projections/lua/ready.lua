-- Walks the tasks that can be begun, best first, until enough of them are found.
--
-- KEYS[1]   the snapshots' checkpoint, a hash
-- KEYS[2]   when tasks may begin at the earliest: a sorted set, milliseconds since 1970
-- KEYS[3]   the tasks of the agent that can be begun, a sorted set by rank
-- KEYS[4]   the tasks that nobody has and that can be begun, likewise
-- KEYS[5..] the sets that have each task
--           then the sets of which one has each task that nobody has, if there are any
-- ARGV[1]   the time, milliseconds since 1970, or '' for the server's clock
-- ARGV[2]   how many tasks are wanted
-- ARGV[3]   how many tasks to read in one call
-- ARGV[4]   how many sets have each task
--
-- Returns {position of the checkpoint, or '0-0'; the tasks in their order}. Nothing is written.

local wanted, stretch_max = tonumber(ARGV[2]), tonumber(ARGV[3])
local last_each = 4 + tonumber(ARGV[4])
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Those of the tasks that are in one of the sets from `first` to `last`, in their order.
local function only(tasks, first, last)
  if #tasks == 0 or first > last then
    return tasks
  end
  local is_in = {}
  for set = first, last do
    for i, found in ipairs(redis.call('SMISMEMBER', KEYS[set], unpack(tasks))) do
      is_in[i] = is_in[i] or found == 1
    end
  end
  local fitting = {}
  for i, task in ipairs(tasks) do
    if is_in[i] then fitting[#fitting + 1] = task end
  end
  return fitting
end

local function due(tasks)
  if #tasks == 0 then
    return tasks
  end
  local fitting, times = {}, redis.call('ZMSCORE', KEYS[2], unpack(tasks))
  for i, task in ipairs(tasks) do
    if not times[i] or tonumber(times[i]) <= now then fitting[#fitting + 1] = task end
  end
  return fitting
end

local found = {}
for source = 3, 4 do
  local walked = 0
  while #found < wanted do
    local tasks = redis.call('ZRANGE', KEYS[source], walked, walked + stretch_max - 1)
    if #tasks == 0 then
      break
    end
    walked = walked + #tasks
    tasks = due(tasks)
    for set = 5, last_each do
      tasks = only(tasks, set, set)
    end
    if source == 4 then
      tasks = only(tasks, last_each + 1, #KEYS)
    end
    for i = 1, math.min(#tasks, wanted - #found) do
      found[#found + 1] = tasks[i]
    end
  end
end
return {redis.call('HGET', KEYS[1], 'position') or '0-0', found}
