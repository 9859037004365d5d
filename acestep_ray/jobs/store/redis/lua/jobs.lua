-- A job as a table, and the only place where it is written, changed or removed.
--
-- A job's hash holds its columns as text, without those that have no value; its long texts are in a
-- second hash, so that the first stays small. Everything else (the queue, the lists, the counts)
-- follows from the columns: `memberships` returns the sets and counts that a job belongs to, and
-- `move` takes it from the old ones to the new ones.

local jobs = {}
local deliveries = {} -- see deliveries.lua
local changes = {} -- every change of this batch, as a JobChange with its names
local NONE = {} -- removes a column's value
local SEPARATOR = '\0' -- between two names in one
local STORE = ARGV[1] -- name of the store that applies this batch

local NUMBERS = {
  place = true, created_at = true, started_at = true, finished_at = true, attempt = true,
  starts = true, released = true, ended_by = true, work = true, plan_seconds = true,
  device_seconds = true, plans = true,
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

-- Ends this operation only. An operation decides first and then writes, so nothing must be undone.
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

-- The fence. The number alone is not enough: a job that was given back keeps it until its next
-- lease.
function jobs.belongs(job, attempt)
  return job.runner ~= nil and job.attempt == attempt
end

-- 1 = next among the queued jobs, 0 if not queued.
function jobs.position(job)
  if job.status ~= 'queued' then
    return 0
  end
  return redis.call('ZRANK', key('status:queued'), job.job_id) + 1
end

-- The values of a JobRecord: the columns of RECORD, the texts, the position. `brief`: without plan
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

-- The name by which jobs that failed with a code are indexed; codes of later releases share one.
local KNOWN_CODES = {}
for _, code in ipairs(ERROR_CODES) do
  KNOWN_CODES[code] = true
end

local OTHER_CODES = '(other)'

local function index_of(code)
  return KNOWN_CODES[code] and code or OTHER_CODES
end

-- What a job waits for: the name of a set of waiting jobs, and of the slots that it takes.
local function queue_of(job)
  local decoder = (job.decoder or '') == '' and '' or SEPARATOR .. job.decoder
  return job.plan_pending and 'plan:' .. job.planner .. decoder or 'decode' .. decoder
end

-- The sorted sets that a job is in, with its score, and the hashes that count it, with the field.
local function memberships(job)
  local sets, counts = {}, {}
  if not job then
    return sets, counts
  end
  sets['all'] = job.place
  sets['status:' .. job.status] = job.place
  sets['owner:' .. job.owner] = job.place
  sets['owner:' .. job.owner .. ':' .. job.status] = job.place
  if job.error_code then
    sets['error:' .. index_of(job.error_code)] = job.place
    sets['owner:' .. job.owner .. ':error:' .. index_of(job.error_code)] = job.place
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
    counts['slots:' .. job.cluster] = queue_of(job)
    if job.plan_pending and (job.plans or 1) > 1 then
      sets['plans:' .. job.cluster] = job.plans
    end
  elseif job.status == 'queued' then
    sets['waiting:' .. queue_of(job)] = job.place
  end
  if job.status == 'queued' and job.plan_pending then
    counts['planners'] = string.sub(queue_of(job), #'plan:' + 1)
  elseif job.status == 'queued' and (job.decoder or '') ~= '' then
    counts['decoders'] = job.decoder
  end
  if not job.finished_at and deliveries.wanted(job, 'ended') then
    sets['webhooks'] = job.place
  end
  return sets, counts
end

local function move(before, after)
  local job_id = (after or before).job_id
  local sets, counts = memberships(before)
  local new_sets, new_counts = memberships(after)
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

-- Releases before these sets do not add a job that they end, nor remove one that they delete. If
-- the counts differ, the sets are made again. (In the set of an owner, an id may stay for ever.)
function jobs.index_errors()
  local names, indexed = { OTHER_CODES, unpack(ERROR_CODES) }, 0
  for _, name in ipairs(names) do
    indexed = indexed + redis.call('ZCARD', key('error:' .. name))
  end
  if indexed == redis.call('ZCARD', key('status:failed')) then
    return
  end
  for _, name in ipairs(names) do
    redis.call('DEL', key('error:' .. name))
  end
  for _, job_id in ipairs(redis.call('ZRANGE', key('status:failed'), 0, -1)) do
    local job = jobs.find(job_id)
    local name = index_of(job.error_code)
    redis.call('ZADD', key('error:' .. name), job.place, job_id)
    redis.call('ZADD', key('owner:' .. job.owner .. ':error:' .. name), job.place, job_id)
  end
end

-- The newest jobs of a sorted set, at most ``limit``.
function jobs.newest(name, before, limit)
  local found, read = {}, 0
  while #found < limit do
    local ids = redis.call(
      'ZREVRANGEBYSCORE', key(name), before, '-inf', 'LIMIT', read, limit - #found
    )
    if #ids == 0 then
      break
    end
    read = read + #ids
    for _, job_id in ipairs(ids) do
      found[#found + 1] = jobs.find(job_id) -- nil: see index_errors
    end
  end
  return found
end

-- `job` as it is after the change; `lost`: see JobChange.
local function change_of(job, kind, now, lost)
  return {
    job_id = job.job_id,
    kind = kind,
    status = job.status,
    at = now,
    owner = job.owner,
    task = job.task,
    webhook = job.webhook,
    attempt = job.attempt,
    created_at = job.created_at,
    started_at = job.started_at,
    finished_at = job.finished_at,
    error_code = job.error_code,
    lost = lost or false,
  }
end

-- Report a change to the readers of changes, and by a message if the job's webhook wants one.
local function publish(job, kind, now, lost)
  local change = change_of(job, kind, now, lost)
  changes[#changes + 1] = change
  if EVENTS[kind] and deliveries.wanted(job, EVENTS[kind]) then
    deliveries.insert(change, EVENTS[kind])
  end
end

-- Write a job with all its columns. Without a place it is put at the end of the queue.
function jobs.put(job, texts)
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
  return job
end

function jobs.insert(job, texts, now)
  publish(jobs.put(job, texts), 'submitted', now)
  return job
end

-- Write columns of a job. `status` is written by `transition` only.
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

-- The only way to another status. `columns` are set in addition to those of the event; `lost`: see
-- JobChange.
function jobs.transition(job, event, now, columns, lost)
  local status = TRANSITIONS[job.status .. ' ' .. event]
  if not status then
    error('a ' .. job.status .. ' job cannot ' .. event)
  end
  columns = columns or {}
  columns.status = status
  if event == 'start' and job.status == 'queued' then
    columns.started_at = now
    columns.starts = job.starts + 1
  elseif event ~= 'start' then -- every other event takes the job from its runner
    columns.runner = NONE
    columns.lease_request = NONE
    columns.cluster = NONE
  end
  if event == 'lose' then -- the start is void: the job will be timed from its next start
    columns.started_at = NONE
  end
  local ended = status == 'succeeded' or status == 'failed'
  if ended then
    columns.finished_at = now
  end
  local moved = jobs.change(job, columns)
  if event == 'lose' then
    publish(moved, 'requeued', now, lost)
  elseif ended then
    publish(moved, 'ended', now, lost)
  elseif status ~= job.status then
    publish(moved, 'started', now)
  end
  return moved
end

-- The key may belong to another job by now: jobs and keys are kept for different times.
function jobs.free_key(job)
  local named = job.idempotency and redis.call('HGET', key('idempotency'), job.idempotency)
  if named and cmsgpack.unpack(named)[1] == job.job_id then
    redis.call('HDEL', key('idempotency'), job.idempotency)
    redis.call('ZREM', key('idempotency:age'), job.idempotency)
  end
end

-- Remove an ended job. Its id becomes a tombstone and garbage. Its idempotency key is free again:
-- who sends a deleted job again wants a new job. Its webhook messages are removed, except those that
-- are still to be delivered.
function jobs.expire(job, now)
  deliveries.job_removed(job)
  move(job, nil)
  redis.call('DEL', key('job:' .. job.job_id), key('texts:' .. job.job_id))
  jobs.free_key(job)
  redis.call('ZADD', key('tombstones'), now, job.job_id)
  redis.call('ZADD', key('garbage'), redis.call('HINCRBY', key('meta'), 'last_garbage', 1), job.job_id)
end
