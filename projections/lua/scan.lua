-- Goes through the smallest sets and counts the tasks in them that are in the right other sets; returns a page of them.
--
-- KEYS[1]   the order: a sorted set of all tasks
-- KEYS[2..] the sets that have each task
--           then the sets of which one has each task, if there are any
--           then the sets that have none of the tasks
-- ARGV[1]   how many sets have each task
-- ARGV[2]   of how many sets one has each task
-- ARGV[3]   what is gone through: the number of the first key
-- ARGV[4]   and of the last one; both 1 for the order
-- ARGV[5]   how many tasks to read in one call
-- ARGV[6]   how many tasks to count at most; 0 for all
-- ARGV[7]   the first task of the page, from 0
-- ARGV[8]   the task after the last of the page; -1 for all from the first
-- ARGV[9]   REV for newest first; else empty
--
-- Returns {how many were counted, the page}. A page needs all to be counted, and is empty if it ends where it begins.
-- Nothing is written.

local last_each = 1 + tonumber(ARGV[1])
local last_either = last_each + tonumber(ARGV[2])
local stretch_max, count_max = tonumber(ARGV[5]), tonumber(ARGV[6])
local first, last = tonumber(ARGV[7]), tonumber(ARGV[8])

-- Those of the tasks that are in one of the sets from `first_set` to `last_set`, or in none of them, in their order.
local function only(tasks, first_set, last_set, is_in)
  if #tasks == 0 or first_set > last_set then
    return tasks
  end
  local are_in = redis.call('SMISMEMBER', KEYS[first_set], unpack(tasks))
  for set = first_set + 1, last_set do
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

local seen, found = {}, {}

-- Take a stretch of tasks; true if enough are counted. A scan may meet a task twice.
local function take(tasks)
  for set = 2, last_each do
    tasks = only(tasks, set, set, 1)
  end
  tasks = only(tasks, last_each + 1, last_either, 1)
  tasks = only(tasks, last_either + 1, #KEYS, 0)
  for i = 1, #tasks do
    if not seen[tasks[i]] then
      seen[tasks[i]] = true
      found[#found + 1] = tasks[i]
      if #found == count_max then
        return true
      end
    end
  end
  return false
end

-- A reply may have more tasks than asked for, and more than can be passed on at once.
local function take_all(tasks)
  for start = 1, #tasks, stretch_max do
    local stretch = {}
    for i = start, math.min(start + stretch_max - 1, #tasks) do
      stretch[#stretch + 1] = tasks[i]
    end
    if take(stretch) then
      return true
    end
  end
  return false
end

local function go_through(key)
  if key == 1 then
    for start = 0, redis.call('ZCARD', KEYS[1]) - 1, stretch_max do
      if take(redis.call('ZRANGE', KEYS[1], start, start + stretch_max - 1)) then
        return true
      end
    end
    return false
  end
  local cursor = '0'
  repeat
    local reply = redis.call('SSCAN', KEYS[key], cursor, 'COUNT', stretch_max)
    cursor = reply[1]
    if take_all(reply[2]) then
      return true
    end
  until cursor == '0'
  return false
end

for key = tonumber(ARGV[3]), tonumber(ARGV[4]) do
  if go_through(key) then
    return {#found, {}}
  end
end
if first == last then
  return {#found, {}}
end

local numbers, ordered = {}, {}
for start = 1, #found, stretch_max do
  local stop = math.min(start + stretch_max - 1, #found)
  local of_stretch = redis.call('ZMSCORE', KEYS[1], unpack(found, start, stop))
  for i = start, stop do
    -- What the order does not have is no task, or is one no more.
    local number = of_stretch[i - start + 1]
    if number then
      ordered[#ordered + 1] = found[i]
      numbers[found[i]] = tonumber(number)
    end
  end
end
local sign = ARGV[9] == 'REV' and -1 or 1
table.sort(ordered, function(a, b)
  local distance = sign * (numbers[a] - numbers[b])
  if distance == 0 then
    return sign * (a < b and -1 or a == b and 0 or 1) < 0
  end
  return distance < 0
end)
local page = {}
for i = first + 1, last < 0 and #ordered or math.min(last, #ordered) do
  page[#page + 1] = ordered[i]
end
return {#ordered, page}
