-- A job as a table, and the one place where it is written, changes its state, or goes.
--
-- A job's hash holds its columns as text, without those that have no value; its long texts lie in a
-- second hash, so that the first stays small. Everything else (the queue, the lists, the counts)
-- follows from the columns: `standing` says where a job stands, and `move` takes it from where it
-- stood to where it stands now.

local jobs = {}
local changes = {} -- {job_id, status} of every change of this batch, for the feed
local NONE = {} -- takes a column's value away
local STORE = ARGV[1] -- who applies this batch

local NUMBERS = {
  place = true, created_at = true, started_at = true, finished_at = true, attempt = true,
  starts = true, released = true, ended_by = true, work = true, plan_seconds = true,
  device_seconds = true,
}
local FLAGS = { needs_plan = true, plan_pending = true }

-- KEYS[1] is the prefix of every key; its hash tag keeps them on one node of a Redis Cluster.
local function key(name)
  return KEYS[1] .. name
end

local function text_of(value)
  if type(value) == 'boolean' then
    return value and '1' or '0'
  end
  return value -- Redis writes a number with 17 digits
end

-- Ends this operation only. An operation decides first and then writes, so nothing is undone.
local function refuse(code, ...)
  error({ refused = code, detail = { ... } })
end

function jobs.find(job_id)
  local values = redis.call('HMGET', key('job:' .. job_id), unpack(COLUMNS))
  if not values[1] then
    return nil
  end
  local job = {}
  for number, name in ipairs(COLUMNS) do
    local value = values[number]
    if value and NUMBERS[name] then
      job[name] = tonumber(value)
    elseif value and FLAGS[name] then
      job[name] = value == '1'
    elseif value then
      job[name] = value
    end
  end
  return job
end

function jobs.expired(job_id)
  return redis.call('ZSCORE', key('tombstones'), job_id)
end

function jobs.require(job_id)
  local job = jobs.find(job_id)
  if not job then
    refuse(jobs.expired(job_id) and 'JobExpired' or 'JobNotFound', job_id)
  end
  return job
end

-- The fence. The number alone does not tell: a job that came back keeps it until the next lease.
function jobs.belongs(job, attempt)
  return job.runner ~= nil and job.attempt == attempt
end

-- 1 = next among the queued, 0 when not queued.
function jobs.position(job)
  if job.status ~= 'queued' then
    return 0
  end
  return redis.call('ZRANK', key('status:queued'), job.job_id) + 1
end

-- As the protocol shows it: the columns of RECORD, the texts, the position. `brief`: without plan
-- and result.
function jobs.record(job, brief)
  local record = redis.call('HMGET', key('job:' .. job.job_id), unpack(RECORD))
  local names = brief and { 'spec' } or { 'spec', 'plan', 'result' }
  local texts = redis.call('HMGET', key('texts:' .. job.job_id), unpack(names))
  for number = 1, 3 do
    record[#record + 1] = texts[number] or false
  end
  record[#record + 1] = jobs.position(job)
  return record
end

function jobs.records(list, brief)
  local records = {}
  for number, job in ipairs(list) do
    records[number] = jobs.record(job, brief)
  end
  return records
end

-- The sorted sets that a job stands in, with its score there, and the hashes that count it, with
-- the field that does.
local function standing(job)
  local sets, counts = {}, {}
  if not job then
    return sets, counts
  end
  sets['all'] = job.place
  sets['status:' .. job.status] = job.place
  sets['owner:' .. job.owner] = job.place
  sets['owner:' .. job.owner .. ':' .. job.status] = job.place
  if job.error_code then
    sets['error:' .. job.error_code] = job.place
    sets['owner:' .. job.owner .. ':error:' .. job.error_code] = job.place
  end
  if job.finished_at then
    sets['finished'] = job.finished_at
    if job.status == 'succeeded' then
      sets['succeeded'] = job.finished_at
    end
  elseif job.started_at then
    sets['started'] = job.started_at
  end
  if job.runner then
    sets['held:' .. job.runner] = job.place
    counts['holders'] = job.runner
    counts['slots:' .. job.cluster] = job.plan_pending and 'plan:' .. job.planner or 'decode'
  elseif job.status == 'queued' then
    sets[job.plan_pending and 'waiting:plan:' .. job.planner or 'waiting:decode'] = job.place
  end
  if job.status == 'queued' and job.plan_pending then
    counts['planners'] = job.planner
  end
  return sets, counts
end

local function move(before, after)
  local job_id = (after or before).job_id
  local sets, counts = standing(before)
  local new_sets, new_counts = standing(after)
  for name in pairs(sets) do
    if not new_sets[name] then
      redis.call('ZREM', key(name), job_id)
    end
  end
  for name, score in pairs(new_sets) do
    if sets[name] ~= score then
      redis.call('ZADD', key(name), score, job_id)
    end
  end
  for name, field in pairs(counts) do
    if new_counts[name] ~= field and redis.call('HINCRBY', key(name), field, -1) == 0 then
      redis.call('HDEL', key(name), field)
    end
  end
  for name, field in pairs(new_counts) do
    if counts[name] ~= field then
      redis.call('HINCRBY', key(name), field, 1)
    end
  end
end

-- Releases before these sets leave a job that they end out of them, and one that they remove in.
-- Where the counts tell of it, the sets are made anew. (Of an owner's, an id may stay for ever.)
function jobs.index_errors()
  local indexed = 0
  for _, code in ipairs(ERROR_CODES) do
    indexed = indexed + redis.call('ZCARD', key('error:' .. code))
  end
  if indexed == redis.call('ZCARD', key('status:failed')) then
    return
  end
  for _, code in ipairs(ERROR_CODES) do
    redis.call('DEL', key('error:' .. code))
  end
  for _, job_id in ipairs(redis.call('ZRANGE', key('status:failed'), 0, -1)) do
    local job = jobs.find(job_id)
    redis.call('ZADD', key('error:' .. job.error_code), job.place, job_id)
    redis.call('ZADD', key('owner:' .. job.owner .. ':error:' .. job.error_code), job.place, job_id)
  end
end

local function tell(job)
  changes[#changes + 1] = { job.job_id, job.status }
end

-- A new job, with all its columns but the place; it goes to the end of the queue.
function jobs.insert(job, texts)
  job.place = job.place or redis.call('HINCRBY', key('meta'), 'last_place', 1)
  local fields = {}
  for name, value in pairs(job) do
    fields[#fields + 1] = name
    fields[#fields + 1] = text_of(value)
  end
  redis.call('HSET', key('job:' .. job.job_id), unpack(fields))
  for name, text in pairs(texts) do
    redis.call('HSET', key('texts:' .. job.job_id), name, text)
  end
  move(nil, job)
  tell(job)
  return job
end

-- Write columns of a job. Of `status`: through transition only.
function jobs.change(job, columns)
  local changed, fields, gone = {}, {}, {}
  for name, value in pairs(job) do
    changed[name] = value
  end
  for name, value in pairs(columns) do
    if value == NONE then
      changed[name] = nil
      gone[#gone + 1] = name
    else
      changed[name] = value
      fields[#fields + 1] = name
      fields[#fields + 1] = text_of(value)
    end
  end
  if #fields > 0 then
    redis.call('HSET', key('job:' .. job.job_id), unpack(fields))
  end
  if #gone > 0 then
    redis.call('HDEL', key('job:' .. job.job_id), unpack(gone))
  end
  move(job, changed)
  return changed
end

-- The only way to another status. `columns` are set beside what the event itself sets.
function jobs.transition(job, event, now, columns)
  local status = TRANSITIONS[job.status .. ' ' .. event]
  if not status then
    error('a ' .. job.status .. ' job cannot ' .. event)
  end
  columns = columns or {}
  columns.status = status
  if event == 'start' and job.status == 'queued' then
    columns.started_at = now
    columns.starts = job.starts + 1
  elseif event ~= 'start' then -- every other one takes the job from who had it
    columns.runner = NONE
    columns.lease_request = NONE
    columns.cluster = NONE
  end
  if event == 'lose' then -- what was begun has come to nothing; it is timed anew
    columns.started_at = NONE
  end
  if status == 'succeeded' or status == 'failed' then
    columns.finished_at = now
  end
  local moved = jobs.change(job, columns)
  if status ~= job.status or event == 'lose' then
    tell(moved)
  end
  return moved
end

-- The key may name another job by now: one is not kept for as long as the other.
function jobs.free_key(job)
  local named = job.idempotency and redis.call('HGET', key('idempotency'), job.idempotency)
  if named and cmsgpack.unpack(named)[1] == job.job_id then
    redis.call('HDEL', key('idempotency'), job.idempotency)
    redis.call('ZREM', key('idempotency:age'), job.idempotency)
  end
end

-- Forget an ended job but for its id, which becomes a tombstone and garbage. Its idempotency key is
-- free again: whoever deleted a job and sends it anew wants a new one.
function jobs.expire(job, now)
  move(job, nil)
  redis.call('DEL', key('job:' .. job.job_id), key('texts:' .. job.job_id))
  jobs.free_key(job)
  redis.call('ZADD', key('tombstones'), now, job.job_id)
  redis.call('ZADD', key('garbage'), redis.call('HINCRBY', key('meta'), 'last_garbage', 1), job.job_id)
end
