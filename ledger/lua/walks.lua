-- Reads the events of several tasks, newest first, each from a position of its own by following `prev`: as history.lua, for
-- many tasks in one call. The cost depends on the events read, not on the size of the town.
--
-- KEYS[1]   the ledger, a stream
-- ARGV[1]   how many events to return at most, of all tasks together; at least one
-- ARGV[2…]  the positions to begin at
--
-- Returns a list for each position in turn, {status, position, entry, entry, …}, whose status is one of history.lua's.
-- Where the limit is reached, the last list is 'partial', and the positions after it have none.

local remaining = tonumber(ARGV[1])
local replies = {}
for index = 2, #ARGV do
  if remaining == 0 then
    return replies
  end
  local position = ARGV[index]
  local seq = tonumber(string.match(position, '%-(%d+)$'))
  local reply = {'whole', ''}
  while position do
    if remaining == 0 then
      reply[1], reply[2] = 'partial', position
      break
    end
    local entry = redis.call('XRANGE', KEYS[1], position, position)[1]
    local prev, prev_seq
    if entry then
      prev, prev_seq = string.match(entry[2][2], '^{"prev":"(%d+%-(%d+))"')
    end
    if not entry or not (prev or string.sub(entry[2][2], 1, 13) == '{"prev":null,') then
      -- It is not there, or the append script did not write it: what came before it is unknown.
      reply[1], reply[2] = 'broken', position
      break
    end
    reply[#reply + 1] = entry
    remaining = remaining - 1
    prev_seq = tonumber(prev_seq)
    -- Sequence numbers grow with every event, so this walk ends whatever was written.
    if prev and prev_seq >= seq then
      reply[1], reply[2] = 'circular', position
      break
    end
    position, seq = prev, prev_seq
  end
  replies[#replies + 1] = reply
end
return replies
