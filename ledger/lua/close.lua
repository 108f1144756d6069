-- Closes a town's ledger to appends while the town moves, opens it again, or seals it where the town has left.
-- What is closed is still read. What is sealed is refused to readers too, and to programs that do not know of moves.
--
-- KEYS[1]  the ledger, a stream
-- KEYS[2]  the note on the move, a string
-- ARGV[1]  the note as it has to be now; '' for none
-- ARGV[2]  the note afterwards; '' for none
-- ARGV[3]  'open', 'closed' or 'sealed'
-- ARGV[4]  the position of the last event as it has to be; '' if it does not matter
-- ARGV[5]  the name of the consumer group that a closed ledger has
-- ARGV[6]  the milliseconds of the last id of a sealed ledger: after the year 9999, so that every append is refused
--
-- Returns one of
--   {'done', position}     the ledger ends there, '0-0' without events
--   {'noted', note}        there is another note, '' for none; nothing was written
--   {'elsewhere', position}  the ledger ends at another position; nothing was written
--   {'damaged', place, entries}  events are lost at its end; nothing was written

local ledger, note = KEYS[1], KEYS[2]
local noted = redis.call('GET', note) or ''
if noted ~= ARGV[1] then
  return {'noted', noted}
end

local last_id, entries, is_closed = '0-0', 0, false
local last = '0-0'
if redis.call('EXISTS', ledger) == 1 then
  local info = redis.call('XINFO', 'STREAM', ledger)
  for i = 1, #info, 2 do
    if info[i] == 'length' then entries = info[i + 1] end
    if info[i] == 'last-generated-id' then last_id = info[i + 1] end
  end
  local entry = redis.call('XREVRANGE', ledger, '+', '-', 'COUNT', 1)[1]
  last = entry and entry[1] or last
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', ledger)) do
    is_closed = is_closed or group[2] == ARGV[5]
  end
end
if ARGV[4] ~= '' and last ~= ARGV[4] then
  return {'elsewhere', last}
end
local sealed_id = ARGV[6] .. '-' .. string.match(last, '%d+$')
if last_id ~= last and last_id ~= sealed_id then
  return {'damaged', last_id, entries}
end

if ARGV[3] == 'open' then
  if is_closed then redis.call('XGROUP', 'DESTROY', ledger, ARGV[5]) end
  if entries == 0 then
    redis.call('DEL', ledger)
  else
    redis.call('XSETID', ledger, last)
  end
else
  if not is_closed then redis.call('XGROUP', 'CREATE', ledger, ARGV[5], '0', 'MKSTREAM') end
  redis.call('XSETID', ledger, ARGV[3] == 'sealed' and sealed_id or last)
end
if ARGV[2] == '' then
  redis.call('DEL', note)
else
  redis.call('SET', note, ARGV[2])
end
return {'done', last}
