"""What the server does in one step, so that two writers never lose each other's update. Each script has one
key."""

RENEW = """
local ttl = tonumber(ARGV[1])
if ttl > 0 then redis.call('EXPIRE', KEYS[1], ttl) else redis.call('PERSIST', KEYS[1]) end
"""

PUT = (
    """
if (redis.call('HGET', KEYS[1], 'p') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'p', ARGV[3])
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'a', ARGV[5]) end
"""
    + RENEW
    + "return 1"
)
"""Arguments: time to live in seconds (0: for ever), the profile that is expected ('': none), the new one,
whether to set the account (1), and the account. Returns 0 and does nothing if the profile is not the
expected one."""

_WITHOUT = """
local function without(reservations, ids, now)
  local kept = {}
  for at = 1, #reservations, 60 do
    local id, over = string.sub(reservations, at, at + 15), struct.unpack('<d', reservations, at + 16) <= now
    for other = 1, #ids, 16 do
      if string.sub(ids, other, other + 15) == id then over = true end
    end
    if not over then kept[#kept + 1] = string.sub(reservations, at, at + 59) end
  end
  return table.concat(kept)
end
local function keep(reservations)
  if reservations == ''
  then redis.call('HDEL', KEYS[1], 'r')
  else redis.call('HSET', KEYS[1], 'r', reservations) end
end
"""
"""A reservation has 60 bytes: an id of 16, when it expires (8 bytes, a little-endian float), a record. Those
are left out that are named, or that have expired."""

RECORD_OUTCOME = (
    _WITHOUT
    + """
local id, now, keep_bytes, record = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[6]), ARGV[5]
local stored = redis.call('HMGET', KEYS[1], 's', 'h', 'r', 'l')
local seen, history, reservations = stored[1] or '', stored[2] or '', stored[3] or ''
if stored[4] then return stored[4] end
local at = string.find(seen, id, 1, true)
while at do
  if at % 20 == 1 then return 0 end
  at = string.find(seen, id, at + 1, true)
end
local first = 1
while first < #seen and struct.unpack('>I4', seen, first + 16) <= now do first = first + 20 end
seen = string.sub(seen, first) .. id .. ARGV[3]
local time, last = struct.unpack('<d', record), #history
while last >= #record and struct.unpack('<d', history, last - #record + 1) > time do last = last - #record end
history = string.sub(history, 1, last) .. record .. string.sub(history, last + 1)
if #history > keep_bytes then history = string.sub(history, -keep_bytes) end
redis.call('HSET', KEYS[1], 's', seen, 'h', history)
if reservations ~= '' then keep(without(reservations, ARGV[7], now)) end
redis.call('HINCRBY', KEYS[1], 'n', 1)
"""
    + RENEW
    + "return 1"
)
"""Arguments: time to live, the outcome's id of 16 bytes, the time until which to remember it (4 bytes,
big-endian), the time now, the record for the history, how many bytes of history to keep, and the ids of the
reservations that it redeems. Records are kept in the order of their times. Returns 0 and does nothing if the
id has been seen, and whom the visitor has become if this is the key of one who was identified. Ids are
forgotten from the oldest on."""

RESERVE = (
    _WITHOUT
    + """
local stored = redis.call('HMGET', KEYS[1], 'h', 'r', 'n')
if (stored[3] or '') ~= ARGV[1] then return stored end
local seconds = tonumber(ARGV[4])
local brief = redis.call('EXISTS', KEYS[1]) == 0
local left = redis.call('TTL', KEYS[1])
if left >= 0 and left < seconds then brief = true end
keep(without(stored[2] or '', '', tonumber(ARGV[2])) .. ARGV[3])
redis.call('HINCRBY', KEYS[1], 'n', 1)
if brief then redis.call('EXPIRE', KEYS[1], seconds) end
return 1
"""
)
"""Arguments: the revision that is expected ('': none), the time now, the reservations, and for how many
seconds the key has to live at least: one that holds nothing else is forgotten then. Returns the history, the
reservations and the revision, and does nothing, if the revision is not the expected one."""

RELEASE = (
    _WITHOUT
    + """
local stored = redis.call('HGET', KEYS[1], 'r') or ''
local kept = without(stored, ARGV[1], 0)
if kept ~= stored then
  keep(kept)
  redis.call('HINCRBY', KEYS[1], 'n', 1)
end
return redis.call('HMGET', KEYS[1], 'h', 'r', 'n')
"""
)
"""Arguments: the ids of reservations, one after another. Returns the history, the reservations that are left,
and the revision."""

SET_CONSENTS = (
    """
local size, key = tonumber(ARGV[2]), tonumber(ARGV[3])
local stored, changed = redis.call('HGET', KEYS[1], 'c') or '', ARGV[4]
if #stored % size ~= 0 then stored = '' end
local kept = {}
for at = 1, #stored, size do
  local name, replaced = string.sub(stored, at, at + key - 1), false
  for other = 1, #changed, size do
    if string.sub(changed, other, other + key - 1) == name then replaced = true end
  end
  if not replaced then kept[#kept + 1] = string.sub(stored, at, at + size - 1) end
end
for at = 1, #changed, size do
  if string.byte(changed, at + key) < 128 then kept[#kept + 1] = string.sub(changed, at, at + size - 1) end
end
if #kept > 0
then redis.call('HSET', KEYS[1], 'c', table.concat(kept))
else redis.call('HDEL', KEYS[1], 'c') end
"""
    + RENEW
    + "return 1"
)
"""Arguments: time to live, the size of a record, how many bytes at its start tell it from the others, and the
records to set; one with a negative state (the byte behind those) is taken away."""

KEEP_OFFERS = """
local ttl, now = tonumber(ARGV[1]), tonumber(ARGV[2])
local function each(records, visit)
  local at = 1
  while at <= #records do
    local valid_until, name, rest = struct.unpack('<dI2I4', records, at)
    local from, last = at + 14, at + 13 + name + rest
    if last > #records then error('cut short') end
    visit(string.sub(records, from, from + name - 1), valid_until, string.sub(records, at, last))
    at = last + 1
  end
end
local kept, held, latest = {}, {}, now
local function keep(action, valid_until, record)
  if valid_until > now then
    kept[#kept + 1], held[action] = record, record
    latest = math.max(latest, valid_until)
  end
end
pcall(each, redis.call('HGET', KEYS[1], 'o') or '', keep)
local found, changed = {}, false
each(ARGV[3], function(action, valid_until, record)
  if not held[action] then
    keep(action, valid_until, record)
    changed = true
  end
  found[#found + 1] = held[action] or record
end)
if changed then
  local left = redis.call('TTL', KEYS[1])
  redis.call('HSET', KEYS[1], 'o', table.concat(kept))
  if ttl > 0 then redis.call('EXPIRE', KEYS[1], ttl)
  elseif left ~= -1 then redis.call('EXPIRE', KEYS[1], math.max(left, math.ceil(latest - now))) end
end
return found
"""
"""Arguments: time to live, the time now, and records of offers (see `offers`). An offer of an action of which
one is kept already is not kept; those that are over are let go, and so is what is no record. Returns for each
offer the one that is kept. Of whom nothing else is known is forgotten with the last offer."""

MOVE_SEGMENTS = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if (redis.call('HGET', KEYS[1], 'g') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'g', ARGV[2])
return 1
"""
"""Arguments: the segments that are expected ('': none), and the new ones. Returns 0 and does nothing if the
segments are not the expected ones, or nothing is known of the customer: who was erased stays so. The time to
live stays as it is."""
