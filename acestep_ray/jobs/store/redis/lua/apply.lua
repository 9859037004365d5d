-- Apply a batch of operations in order. ARGV: the store's name, the batch and the time (msgpack).
-- Returns, as msgpack: {answers, changes}, each answer {true, value} or {false, error, detail…};
-- or {false, version} if the database has another version (or none), and then nothing was done.

local version = redis.call('HGET', key('meta'), 'version')
if version ~= VERSION then
  return cmsgpack.pack({ false, version })
end

local batch, now = unpack(cmsgpack.unpack(ARGV[2]))
local answers = {}
for number, entry in ipairs(batch) do
  local name, op = unpack(entry)
  local succeeded, answer = pcall(ops[name], op, now)
  if succeeded then
    answers[number] = { true, answer == nil and false or answer }
  elseif type(answer) == 'table' and answer.refused then
    answers[number] = { false, answer.refused, unpack(answer.detail) }
  else
    error(answer)
  end
end

if #changes > 0 then
  local states = {} -- all that earlier releases read
  for number, change in ipairs(changes) do
    states[number] = { change.job_id, change.status }
  end
  -- Numbered without gaps, so that a reader notices if it came too late for some entries.
  redis.call('XADD', key('changes'), 'MAXLEN', '~', KEEP_CHANGES, '0-*',
    'store', STORE, 'jobs', cmsgpack.pack(states), 'changes', cmsgpack.pack(changes))
end
return cmsgpack.pack({ answers, changes })
