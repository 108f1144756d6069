-- Appends events to a town's ledger, all or none, and moves the heads of their tasks.
-- Nothing else writes these keys. A script does not roll back, so every check comes before the first write.
--
-- KEYS[1]  the ledger, a stream
-- KEYS[2]  the heads, a hash: task id -> <version>:<position> of its last event
-- ARGV[1]  the time to record, ms since 1970, or '' for the server's clock
-- ARGV[2]  how many guards follow
-- then     a pair for each guard: task id, expected version (0 = no event yet)
-- then     a pair for each event: task id, the event's JSON without `prev`; each of these tasks needs a guard
--
-- Returns one of
--   {'appended', ms, first seq}           the events have the positions ms-first, ms-(first + 1), …
--   {'conflict', task, expected, actual}  the task is at another version; nothing was written
--   {'backdated', last position}          the time is before the last event; nothing was written
--   {'damaged', place, entries}           the stream or a head is not as this script left it; nothing was written

local ledger, heads = KEYS[1], KEYS[2]
local guards = tonumber(ARGV[2])
local first_event = 3 + 2 * guards

local last_ms, last_seq, entries, last_position = 0, 0, 0, '0-0'
if redis.call('EXISTS', ledger) == 1 then
  local info = redis.call('XINFO', 'STREAM', ledger)
  for i = 1, #info, 2 do
    if info[i] == 'length' then entries = info[i + 1] end
    if info[i] == 'last-generated-id' then last_position = info[i + 1] end
  end
  local ms, seq = string.match(last_position, '^(%d+)-(%d+)$')
  last_ms, last_seq = tonumber(ms), tonumber(seq)
end
-- No time after the year 9999 can be written as RFC 3339, and every later event would get such a time.
if last_ms > 253402300799999 then
  return {'damaged', last_position, entries}
end
-- A foreign XADD restarts the sequence; a ledger deleted under its heads would begin a second history.
if last_seq < entries or (last_seq == 0 and redis.call('EXISTS', heads) == 1) then
  return {'damaged', string.format('%.0f-%.0f', last_ms, last_seq), entries}
end

local ms
if ARGV[1] == '' then
  local time = redis.call('TIME')
  ms = math.max(last_ms, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
else
  ms = tonumber(ARGV[1])
  if ms < last_ms then
    return {'backdated', string.format('%.0f-%.0f', last_ms, last_seq)}
  end
end

-- Lua's `unpack` fails at some 8,000.
local heads_max = 1000
local versions, positions = {}, {}
for first = 3, first_event - 1, 2 * heads_max do
  local tasks = {}
  for i = first, math.min(first + 2 * heads_max, first_event) - 1, 2 do
    tasks[#tasks + 1] = ARGV[i]
  end
  for i, head in ipairs(redis.call('HMGET', heads, unpack(tasks))) do
    local task, expected = tasks[i], tonumber(ARGV[first + 2 * i - 1])
    local actual, position = 0, nil
    if head then
      local version
      version, position = string.match(head, '^(%d+):(%d+%-%d+)$')
      actual = tonumber(version)
      if not actual then
        return {'damaged', head, entries}
      end
    end
    if actual ~= expected then
      return {'conflict', task, expected, actual}
    end
    versions[task], positions[task] = actual, position
  end
end

for i = first_event, #ARGV, 2 do
  if not versions[ARGV[i]] then
    return redis.error_reply('ERR an event for task ' .. ARGV[i] .. ' has no guard')
  end
end

local ms_text = string.format('%.0f', ms)
local seq = last_seq
for i = first_event, #ARGV, 2 do
  local task = ARGV[i]
  seq = seq + 1
  local position = ms_text .. '-' .. string.format('%.0f', seq)
  local prev = positions[task] and '{"prev":"' .. positions[task] .. '",' or '{"prev":null,'
  redis.call('XADD', ledger, position, 'event', prev .. string.sub(ARGV[i + 1], 2))
  versions[task], positions[task] = versions[task] + 1, position
end

local written = {}
for i = 3, first_event - 1, 2 do
  local task = ARGV[i]
  if positions[task] then
    written[#written + 1] = task
    written[#written + 1] = versions[task] .. ':' .. positions[task]
  end
  if #written == 2 * heads_max or (i == first_event - 2 and #written > 0) then
    redis.call('HSET', heads, unpack(written))
    written = {}
  end
end
return {'appended', ms_text, string.format('%.0f', last_seq + 1)}
