-- Reads one task's events, newest first, by following `prev` from event to event.
-- The cost depends on the events read, not on the size of the town.
--
-- KEYS[1]  the ledger, a stream
-- KEYS[2]  the heads, a hash: task id -> <version>:<position> of its last event
-- ARGV[1]  task id
-- ARGV[2]  the position to begin at, or '' for the task's last event
-- ARGV[3]  how many events to return at most
--
-- Returns {status, position, entry, entry, …}; each entry is {position, {field, value}} as XRANGE gives it
--   'whole'    the task's first event was reached (position '')
--   'partial'  the limit was reached; position is where the next call begins
--   'broken'   an event or a head names this position, and no event of the append script is there
--   'circular' the event at position names itself, or a later event, as its predecessor

local position = ARGV[2]
if position == '' then
  local head = redis.call('HGET', KEYS[2], ARGV[1])
  position = head and string.match(head, ':(.+)$') or ''
end

local reply = {'whole', ''}
for _ = 1, tonumber(ARGV[3]) do
  if position == '' then
    return reply
  end
  local entry = redis.call('XRANGE', KEYS[1], position, position)[1]
  if not entry then
    reply[1], reply[2] = 'broken', position
    return reply
  end
  local prev = string.match(entry[2][2], '^{"prev":"(%d+%-%d+)"')
  if not prev and string.sub(entry[2][2], 1, 13) ~= '{"prev":null,' then
    -- Not written by the append script: what came before it is unknown.
    reply[1], reply[2] = 'broken', position
    return reply
  end
  reply[#reply + 1] = entry
  -- Sequence numbers must fall with each step back, so this walk ends whatever is stored.
  if prev and tonumber(string.match(prev, '%-(%d+)$')) >= tonumber(string.match(position, '%-(%d+)$')) then
    reply[1], reply[2] = 'circular', position
    return reply
  end
  position = prev or ''
end
if position ~= '' then
  reply[1], reply[2] = 'partial', position
end
return reply
