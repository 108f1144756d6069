-- Appends entries to a town's ledger as they are in another ledger, with their positions, and moves the heads.
-- All or none. A script does not roll back, so every check comes before the first write.
--
-- KEYS[1]  the ledger, a stream
-- KEYS[2]  the heads, a hash: task id -> <version>:<position> of its last event
-- ARGV[1]  the position that the ledger ends at, '0-0' for one without events
-- ARGV[2]  how many tasks follow
-- then     three for each task of the entries: its id, its head as it is now ('' = none), its head after them
-- then     a pair for each entry: its position, its event's JSON with `prev`
--
-- Returns one of
--   {'copied'}                            the entries are in the ledger, and the heads name them
--   {'elsewhere', position}               the ledger ends at another position; nothing was written
--   {'conflict', task, expected, actual}  the task has another head; nothing was written
--   {'damaged', place, entries}           the stream is not what append.lua and this script leave; nothing was written

local ledger, heads = KEYS[1], KEYS[2]
local tasks_count = tonumber(ARGV[2])
local first_entry = 3 + 3 * tasks_count

local entries, last_position = 0, '0-0'
if redis.call('EXISTS', ledger) == 1 then
  local info = redis.call('XINFO', 'STREAM', ledger)
  for i = 1, #info, 2 do
    if info[i] == 'length' then entries = info[i + 1] end
    if info[i] == 'last-generated-id' then last_position = info[i + 1] end
  end
end
if last_position ~= ARGV[1] then
  return {'elsewhere', last_position}
end
local function parts(position)
  local ms, seq = string.match(position, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local last_ms, last_seq = parts(last_position)
-- A ledger with lost events, and one that was deleted under its heads, would be continued as if it were whole.
if last_seq ~= entries or (last_seq == 0 and redis.call('EXISTS', heads) == 1) then
  return {'damaged', last_position, entries}
end

-- Lua's `unpack` fails at some 8,000.
local tasks_max = 1000
for first = 3, first_entry - 1, 3 * tasks_max do
  local tasks = {}
  for i = first, math.min(first + 3 * tasks_max, first_entry) - 1, 3 do
    tasks[#tasks + 1] = ARGV[i]
  end
  for i, head in ipairs(redis.call('HMGET', heads, unpack(tasks))) do
    local expected = ARGV[first + 3 * i - 2]
    if (head or '') ~= expected then
      return {'conflict', tasks[i], expected, head or ''}
    end
  end
end

for i = first_entry, #ARGV, 2 do
  local ms, seq = parts(ARGV[i])
  if not ms or seq ~= last_seq + 1 or ms < last_ms then
    return redis.error_reply('ERR the entry at ' .. ARGV[i] .. ' does not follow the one before it')
  end
  last_ms, last_seq = ms, seq
end

for i = first_entry, #ARGV, 2 do
  redis.call('XADD', ledger, ARGV[i], 'event', ARGV[i + 1])
end
for first = 3, first_entry - 1, 3 * tasks_max do
  local written = {}
  for i = first, math.min(first + 3 * tasks_max, first_entry) - 1, 3 do
    written[#written + 1] = ARGV[i]
    written[#written + 1] = ARGV[i + 2]
  end
  redis.call('HSET', heads, unpack(written))
end
return {'copied'}
