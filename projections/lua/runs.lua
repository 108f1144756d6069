-- Reads which running tasks were started by a runner whose heartbeat has ended. Writes nothing.
-- The keys of tasks and heartbeats are made here from prefixes. That is safe: a town's keys are in one slot of a cluster.
--
-- KEYS[1]  the ledger, a stream
-- KEYS[2]  the heads, a hash: task id -> <version>:<position> of its last event
-- KEYS[3]  the tasks that are running, a set
-- KEYS[4]  how many tasks are in each state, a hash
-- ARGV[1]  the prefix of a snapshot's key, before the task's id
-- ARGV[2]  the prefix of a heartbeat's key, before the run's id
-- ARGV[3]  the name of the state of running tasks
-- ARGV[4]  where to go on in the set, a cursor of SSCAN; 0 begins
-- ARGV[5]  about how many tasks to look at. A small set is looked at in one call
-- ARGV[6]  how many events to look through at most, from each task's last one back to its start
--
-- Returns {cursor, now ms, soonest ms, {id, head, snapshot, start, …}, {id, …}}
--   cursor     where the next call goes on; '0' after the last tasks
--   now ms     the server's clock
--   soonest    in how many milliseconds the first of the heartbeats that beat can end; -1 if none beats
--   then       four values for each task whose run has no heartbeat
--     head     as in the heads
--     snapshot '' if its key is free, 1 if the key is not a string
--     start    the event that started it, as XRANGE gives it
--   {id, …}    the tasks whose start was not found: an event is missing, or too many events had to be looked through
-- Returns -1 if the set of running tasks is not as large as their number says.

local size = redis.pcall('SCARD', KEYS[3])
local counted = redis.pcall('HGET', KEYS[4], ARGV[3])
if type(size) == 'table' or type(counted) == 'table' or size ~= tonumber(counted or '0') then
  return -1
end

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local cursor, ids = unpack(redis.call('SSCAN', KEYS[3], ARGV[4], 'COUNT', ARGV[5]))
local events_left = tonumber(ARGV[6])

-- The event that started the task whose last event is at `position`. False if a record of a running task was adopted, so that
-- no event started it; nil if the start was not found.
local function start_of(position)
  while events_left > 0 do
    events_left = events_left - 1
    local entry = redis.call('XRANGE', KEYS[1], position, position)[1]
    local text = entry and entry[2][2]
    if not text then return nil end
    -- Inside a text of an event these quotes would be escaped.
    if string.find(text, '"type":"task.started"', 1, true) then return entry end
    if string.sub(text, 1, 13) == '{"prev":null,' then return false end
    local prev = string.match(text, '^{"prev":"(%d+%-%d+)"')
    -- Sequence numbers must fall with each step back.
    if not prev or tonumber(string.match(prev, '%-(%d+)$')) >= tonumber(string.match(position, '%-(%d+)$')) then
      return nil
    end
    position = prev
  end
  return nil
end

-- The id of the run in an event that started a task; nil if a person started it. An event of schema 1 has it in its reason.
local function run_of(text)
  local is_json, event = pcall(cjson.decode, text)
  if not is_json or type(event) ~= 'table' then return nil end
  local run = type(event.data) == 'table' and event.data.run
  if type(run) == 'table' and type(run.id) == 'string' then return run.id end
  return event.schema == 1 and type(event.reason) == 'string' and string.match(event.reason, ', run (%x+)$') or nil
end

local soonest, lost, unknown = -1, {}, {}
for _, id in ipairs(ids) do
  local head = redis.call('HGET', KEYS[2], id) or ''
  local position = string.match(head, ':(%d+%-%d+)$')
  local start
  if position then start = start_of(position) end
  if start == nil then
    unknown[#unknown + 1] = id
  elseif start then
    local run = run_of(start[2][2])
    if run then
      local left = redis.call('PTTL', ARGV[2] .. run)
      if left == -2 then
        local snapshot = redis.pcall('GET', ARGV[1] .. id)
        lost[#lost + 1] = id
        lost[#lost + 1] = head
        lost[#lost + 1] = type(snapshot) == 'table' and 1 or snapshot or ''
        lost[#lost + 1] = start
      elseif left >= 0 and (soonest < 0 or left < soonest) then
        soonest = left
      end
    end
  end
end
return {cursor, now_ms, soonest, lost, unknown}
