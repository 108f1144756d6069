-- Keeps a copy of an old record, before its task is adopted and a snapshot takes its place. If an interrupted migration left
-- a copy with other content, that copy is renamed, and the record as it is now is copied to its name.
--
-- KEYS[1]  the record, of any type
-- KEYS[2]  the name of its copy
-- KEYS[3]  a free name, for an earlier copy
-- KEYS[4]  the heads
-- ARGV[1]  the task
--
-- Returns 1 when the copy equals the record, or when there is nothing to copy: the record is gone, or the task is adopted and
-- its snapshot may be there. Returns 0 when KEYS[3] is taken; then nothing was written.

local function content(key, kind)
  if kind == 'string' then
    return { redis.call('GET', key) }
  elseif kind == 'hash' then
    -- Two hashes of the same fields may have them in another order.
    local fields, found = redis.call('HGETALL', key), {}
    for i = 1, #fields, 2 do
      found[fields[i]] = fields[i + 1]
    end
    return found
  elseif kind == 'list' then
    return redis.call('LRANGE', key, 0, -1)
  end
  return { redis.call('DUMP', key) }
end

local function is_same(one, other)
  local kind = redis.call('TYPE', one).ok
  if kind ~= redis.call('TYPE', other).ok then
    return false
  end
  local found, wanted = content(one, kind), content(other, kind)
  for field, value in pairs(wanted) do
    if found[field] ~= value then
      return false
    end
    found[field] = nil
  end
  return next(found) == nil
end

if redis.call('HEXISTS', KEYS[4], ARGV[1]) == 1 or redis.call('EXISTS', KEYS[1]) == 0 then
  return 1
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  if is_same(KEYS[1], KEYS[2]) then
    return 1
  end
  if redis.call('RENAMENX', KEYS[2], KEYS[3]) == 0 then
    return 0
  end
end
redis.call('COPY', KEYS[1], KEYS[2])
return 1
