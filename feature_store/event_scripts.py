"""What the server does with events and with the history of visitors, in one step each. A script has one key.

Records are those of `tally`, and say themselves how they are added up.
"""

from feature_store.scripts import RENEW
from feature_store.tally import ADD, DECAYED, LAST, RECORD, SEEN

_FOUND = """
local function found(text, part, size)
  local at = string.find(text, part, 1, true)
  while at and at % size ~= 1 do at = string.find(text, part, at + 1, true) end
  return at
end
"""
"""Where in a text of pieces of one size the piece is that begins so."""

_JOINED = f"""
local SIZE, ADD, SEEN, DECAYED, LAST = {RECORD.itemsize}, {ADD}, {SEEN}, {DECAYED}, {LAST}
local function slot(record) return (struct.unpack('<d', record, 9)) end
local function number(record) return (struct.unpack('<d', record, 17)) end
local together = {{
  [ADD] = function(one, other) return one + other end,
  [SEEN] = math.max,
  [DECAYED] = function(one, other)
    local high, low = math.max(one, other), math.min(one, other)
    return high + math.log(1 + 2 ^ (low - high)) / math.log(2)
  end,
}}
local function less(one, other)
  local x, y = number(one), number(other)
  return x < y or x == y and slot(one) < slot(other)
end
local function recent(records, keep)
  local newest, kept = -math.huge, {{}}
  for _, record in ipairs(records) do newest = math.max(newest, slot(record)) end
  for _, record in ipairs(records) do
    if slot(record) > newest - keep then kept[#kept + 1] = record end
  end
  return kept
end
local function latest(records, keep)
  if #records > keep then
    local least = 1
    for at, record in ipairs(records) do
      if less(record, records[least]) then least = at end
    end
    table.remove(records, least)
  end
  return records
end
local function inserted(state, record, operation, keep)
  local mark = string.sub(record, 1, 8)
  local first = found(state, mark, SIZE)
  if not first then return state .. record end
  local records, last = {{}}, first
  while string.sub(state, last, last + 7) == mark do
    records[#records + 1] = string.sub(state, last, last + SIZE - 1)
    last = last + SIZE
  end
  records[#records + 1] = record
  records = operation == ADD and recent(records, keep) or latest(records, keep)
  return string.sub(state, 1, first - 1) .. table.concat(records) .. string.sub(state, last)
end
local function replaced(state, at, record)
  return string.sub(state, 1, at - 1) .. record .. string.sub(state, at + SIZE)
end
local function joined(state, added)
  for from = 1, #added, SIZE do
    local record = string.sub(added, from, from + SIZE - 1)
    local operation, keep = string.byte(record, 1, 2)
    local at = found(state, string.sub(record, 1, operation >= DECAYED and 8 or 16), SIZE)
    local old = at and string.sub(state, at, at + SIZE - 1)
    if not at then
      state = inserted(state, record, operation, keep)
    elseif operation ~= LAST then
      local sum = together[operation](number(old), number(record))
      state = replaced(state, at, string.sub(old, 1, 16) .. struct.pack('<d', sum))
    elseif slot(record) > slot(old) or slot(record) == slot(old) and number(record) > number(old) then
      state = replaced(state, at, record)
    end
  end
  return state
end
"""
"""`joined` adds records to a state. The records of a mark stand together, so it looks only at those that are
touched."""

APPLY = (
    _FOUND
    + _JOINED
    + """
local stored = redis.call('HMGET', KEYS[1], 'e', 'm', 'l', 'g')
local state, seen, news, first = stored[1] or '', stored[2] or '', {}, 1
if stored[3] then return {stored[3], stored[4] or ''} end
local now, keep_bytes = tonumber(ARGV[2]), tonumber(ARGV[4])
while first < #seen and struct.unpack('>I4', seen, first + 8) <= now do first = first + 12 end
seen = string.sub(seen, first)
for at = 5, #ARGV, 2 do
  local new = not found(seen, ARGV[at], 12)
  if new then
    seen = seen .. ARGV[at] .. ARGV[3]
    state = joined(state, ARGV[at + 1])
  end
  news[#news + 1] = new and '1' or '0'
end
news = table.concat(news)
if not string.find(news, '1', 1, true) then return news end
redis.call('HSET', KEYS[1], 'm', string.sub(seen, -keep_bytes))
if state ~= (stored[1] or '') then redis.call('HSET', KEYS[1], 'e', state) end
"""
    + RENEW
    + "return news"
)
"""Arguments: time to live, the time now, until when to remember the events (4 bytes, big-endian), how many
bytes of their ids to keep, and for each event its id of 8 bytes and the records that it adds.

Returns for each event `1` if it was new, or else `0`. If this is the key of a visitor who was identified,
does nothing and returns whom they have become, and the id of the merger if it is not done yet."""

BELONGS = (
    """
local names, name = redis.call('HGET', KEYS[1], 'v') or '', ARGV[2]
local at = 1
while at <= #names do
  local size = struct.unpack('<I2', names, at)
  if string.sub(names, at + 2, at + 1 + size) == name then return 0 end
  at = at + 2 + size
end
redis.call('HSET', KEYS[1], 'v', names .. struct.pack('<I2', #name) .. name)
"""
    + RENEW
    + "return 1"
)
"""Arguments: time to live, and the id of a visitor who turns out to be this customer."""

LINK = """
local stored = redis.call('HMGET', KEYS[1], 'l', 'g')
local link, merger = stored[1], stored[2]
if not merger and link ~= ARGV[1] then
  link, merger = ARGV[1], ARGV[2]
  redis.call('HSET', KEYS[1], 'l', link, 'g', merger)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
if not merger then return {link} end
return {link, merger, unpack(redis.call('HMGET', KEYS[1], 'e', 'm', 'h', 's', 'r', 'o'))}
"""
"""Arguments: whom the visitor has become, the id of the merger, and for how long to know it. From here on the
visitor's history doesn't change. Returns whom they have become, and, if it is not with them yet, the id of
the merger and the history: one that was begun before has to be ended first."""

MERGE = (
    _FOUND
    + _JOINED
    + """
local merger, state, ids, history, outcomes, reservations = unpack(ARGV, 2, 7)
local stored = redis.call('HMGET', KEYS[1], 'k', 'e', 'm', 'h', 's', 'r')
local function old(number) return stored[number] or '' end
if found(old(1), merger, 8) then return 0 end
local function appended(text, more, key, size)
  for at = 1, #more, size do
    if not found(text, string.sub(more, at, at + key - 1), size) then
      text = text .. string.sub(more, at, at + size - 1)
    end
  end
  return text
end
local function in_order(one, other, size)
  local parts, at = {}, 1
  for from = 1, #other, size do
    local time = struct.unpack('<d', other, from)
    while at < #one and struct.unpack('<d', one, at) <= time do
      parts[#parts + 1] = string.sub(one, at, at + size - 1)
      at = at + size
    end
    parts[#parts + 1] = string.sub(other, from, from + size - 1)
  end
  return table.concat(parts) .. string.sub(one, at)
end
local function set(field, text, most)
  if text ~= '' then redis.call('HSET', KEYS[1], field, string.sub(text, -most)) end
end
set('e', joined(old(2), state), 2 ^ 30)
set('m', appended(old(3), ids, 8, 12), tonumber(ARGV[8]))
set('h', in_order(old(4), history, 36), tonumber(ARGV[9]))
set('s', appended(old(5), outcomes, 16, 20), 2 ^ 30)
set('r', appended(old(6), reservations, 16, 60), 2 ^ 30)
set('k', old(1) .. merger, 2048)
redis.call('HINCRBY', KEYS[1], 'n', 1)
"""
    + RENEW
    + "return 1"
)
"""Arguments: time to live, the id of the merger, of the visitor the records, the ids of events, the contact
history, the ids of outcomes and the reservations, and how many bytes of the customer's ids of events and of
their history to keep. Returns 0 and does nothing if the merger is known."""

UNLINK_HISTORY = """
if redis.call('HGET', KEYS[1], 'g') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], 'g', 'e', 'm', 'h', 's', 'r', 'n', 'o')
"""
"""Argument: the id of a merger that is done: what it has moved is forgotten, and whom the visitor has become
stays."""
