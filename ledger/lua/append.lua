-- Appends events to a town's ledger, all or none, and moves the heads of their tasks.
-- Nothing else writes these keys. A script does not roll back, so every check comes before the first write.
--
-- KEYS[1]  the ledger, a stream
-- KEYS[2]  the heads, a hash: task id -> <version>:<position> of its last event
-- ARGV[1]  the time to record, ms since 1970, or '' for the server's clock
-- ARGV[2]  the position of the basis: where the ledger ended when the decision was made; '' if it does not matter
-- ARGV[3]  the types of events that disturb the basis, with a blank before and after each; '' if none does. A `task.created`
--          disturbs only if it puts a task that was there before below another one, or a task below one of ARGV[4]
-- ARGV[4]  task ids, with a blank before and after each; '' for none
-- ARGV[5]  'all' to check every guard and append every event, or 'first' to take the first guard that holds, and append the
--          events of its task only
-- ARGV[6]  the last position that the caller was told of, '' for none
-- ARGV[7]  how many guards follow
-- then     a pair for each guard: task id, expected version (0 = no event yet)
-- then     a pair for each event: task id, the event's JSON without `prev`; each of these tasks needs a guard
--
-- Returns one of
--   {'appended', ms, first seq}           the events have the positions ms-first, ms-(first + 1), …
--   {'appended', ms, first seq, task}     the same, for 'first': the events of this task
--   {'disturbed', position}               the event there disturbs the basis, or is the basis and is gone, or too many came;
--                                         nothing was written
--   {'conflict', task, expected, actual}  the task is at another version; nothing was written
--   {'backdated', last position}          the time is before the last event; nothing was written
--   {'damaged', place, entries}           the stream or a head is not as this script left it; nothing was written
--   {'closed'}                            the town moves; nothing was written. Only a ledger with consumer groups is looked at
--   {'forgotten', last position}          what the caller was told of is not there; nothing was written

local ledger, heads = KEYS[1], KEYS[2]
local guards = tonumber(ARGV[7])
local first_guard = 8
local first_event = first_guard + 2 * guards

local last_ms, last_seq, entries, last_position, groups = 0, 0, 0, '0-0', 0
if redis.call('EXISTS', ledger) == 1 then
  local info = redis.call('XINFO', 'STREAM', ledger)
  for i = 1, #info, 2 do
    if info[i] == 'length' then entries = info[i + 1] end
    if info[i] == 'last-generated-id' then last_position = info[i + 1] end
    if info[i] == 'groups' then groups = info[i + 1] end
  end
  for _, group in ipairs(groups > 0 and redis.call('XINFO', 'GROUPS', ledger) or {}) do
    if group[2] == 'closed' then return {'closed'} end
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
-- Only where others appended since does this cost a look.
local known = ARGV[6]
if known ~= '' and known ~= last_position then
  local known_seq = tonumber(string.match(known, '%-(%d+)$'))
  if known_seq >= last_seq or #redis.call('XRANGE', ledger, known, known) == 0 then
    return {'forgotten', last_position}
  end
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

-- A failover can take away what the decision stands on. Other events may have the same versions since, so the guards hold.
local basis = ARGV[2]
local is_past = basis ~= '' and basis ~= last_position
if is_past and basis ~= known and basis ~= '0-0' and #redis.call('XRANGE', ledger, basis, basis) == 0 then
  return {'disturbed', basis}
end

local later_max = 200
if is_past and ARGV[3] ~= '' then
  local later = redis.call('XRANGE', ledger, '(' .. basis, '+', 'COUNT', later_max)
  for _, entry in ipairs(later) do
    -- A quote within a text is escaped, so these are the envelope's own.
    local event = entry[2][2] or ''
    local type = string.match(event, '"type":"([^"]+)"') or ''
    local disturbs = string.find(ARGV[3], ' ' .. type .. ' ', 1, true)
    if disturbs and type == 'task.created' then
      local parent = string.match(event, '"parent_id":"([^"]+)"')
      local is_new = string.find(event, '"version":1,', 1, true)
      disturbs = parent and (not is_new or string.find(ARGV[4], ' ' .. parent .. ' ', 1, true))
    end
    if disturbs then
      return {'disturbed', entry[1]}
    end
  end
  if #later == later_max then
    return {'disturbed', later[later_max][1]}
  end
end

-- Lua's `unpack` fails at some 8,000.
local heads_max = 1000
local takes_first, chosen, last_conflict = ARGV[5] == 'first', nil, nil
local versions, positions = {}, {}
for first = first_guard, first_event - 1, 2 * heads_max do
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
      last_conflict = {'conflict', task, expected, actual}
      if not takes_first then
        return last_conflict
      end
    elseif not chosen then
      versions[task], positions[task] = actual, position
      chosen = takes_first and task
    end
  end
end

if takes_first and not chosen then
  return last_conflict
end
for i = first_event, #ARGV, 2 do
  if not versions[ARGV[i]] and not takes_first then
    return redis.error_reply('ERR an event for task ' .. ARGV[i] .. ' has no guard')
  end
end

local ms_text = string.format('%.0f', ms)
local seq = last_seq
for i = first_event, #ARGV, 2 do
  local task = ARGV[i]
  if versions[task] then
    seq = seq + 1
    local position = ms_text .. '-' .. string.format('%.0f', seq)
    local prev = positions[task] and '{"prev":"' .. positions[task] .. '",' or '{"prev":null,'
    redis.call('XADD', ledger, position, 'event', prev .. string.sub(ARGV[i + 1], 2))
    versions[task], positions[task] = versions[task] + 1, position
  end
end

local written = {}
for i = first_guard, first_event - 1, 2 do
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
local appended = {'appended', ms_text, string.format('%.0f', last_seq + 1)}
appended[4] = chosen or nil
return appended
