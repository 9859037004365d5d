-- Operations of clients: submit, read, list, cancel, delete, counts.

local ops = {}
local RECENT = 50

local function submitted(job, created)
  return { job.job_id, job.status, jobs.position(job), created }
end

function ops.Submit(op, now)
  local job = jobs.find(op.job_id)
  if job then
    return submitted(job, true)
  end
  if jobs.expired(op.job_id) then
    refuse('JobExpired', op.job_id)
  end
  local field = op.idempotency_key and op.owner .. '\0' .. op.idempotency_key
  local earlier = field and redis.call('HGET', key('idempotency'), field)
  if earlier then
    local job_id, fingerprint = unpack(cmsgpack.unpack(earlier))
    if fingerprint ~= op.fingerprint then
      refuse('IdempotencyMismatch')
    end
    return submitted(jobs.require(job_id), false)
  end
  local queued = redis.call('ZCARD', key('status:queued'))
  if queued >= op.max_queued then
    refuse('QueueFull', queued, op.max_queued)
  end
  job = jobs.insert({
    job_id = op.job_id,
    owner = op.owner,
    status = 'queued',
    needs_plan = op.needs_plan,
    plan_pending = op.needs_plan,
    created_at = now,
    attempt = 0,
    starts = 0,
    planner = op.planner,
    work = op.work,
    idempotency = field,
    task = op.task, -- a client of an earlier release has neither this nor what follows
    webhook = op.webhook,
    webhook_kinds = table.concat(op.webhook_kinds or {}, ','),
    plans = op.plans or 1,
    decoder = op.decoder or '',
  }, { spec = op.spec }, now)
  if field then
    redis.call('HSET', key('idempotency'), field, cmsgpack.pack({ op.job_id, op.fingerprint }))
    redis.call('ZADD', key('idempotency:age'), now, field)
  end
  return submitted(job, true)
end

function ops.Get(op)
  return jobs.record(jobs.require(op.job_id))
end

local function newer(one, other)
  return one.place > other.place
end

function ops.ListJobs(op)
  local names = {} -- names of the sets to read
  local codes = op.error_codes or {} -- a client of an earlier release has none
  if #codes > 0 then
    for _, code in ipairs(op.status and op.status ~= 'failed' and {} or codes) do
      names[#names + 1] = (op.owner and 'owner:' .. op.owner .. ':' or '') .. 'error:' .. code
    end
  elseif op.owner then
    names[1] = 'owner:' .. op.owner .. (op.status and ':' .. op.status or '')
  else
    names[1] = op.status and 'status:' .. op.status or 'all'
  end
  local before = op.before and string.format('(%.17g', op.before) or '+inf'
  local limit = math.max(0, op.limit)
  local found = {}
  for _, name in ipairs(names) do
    for _, job in ipairs(jobs.newest(name, before, limit)) do
      found[#found + 1] = job
    end
  end
  table.sort(found, newer)
  while #found > limit do
    found[#found] = nil
  end
  return jobs.records(found, op.brief)
end

local function cancelled(job, now)
  return jobs.transition(job, 'cancel', now, {
    error = MESSAGES.cancelled,
    error_code = 'cancelled',
  })
end

function ops.Cancel(op, now)
  local job = jobs.require(op.job_id)
  if not job.finished_at then
    job = cancelled(job, now)
  elseif job.error_code ~= 'cancelled' then
    refuse('AlreadyEnded', op.job_id, job.status)
  end
  return jobs.record(job)
end

function ops.Delete(op, now)
  local job = jobs.require(op.job_id)
  if not job.finished_at then
    job = cancelled(job, now)
  end
  publish(job, 'deleted', now)
  jobs.expire(job, now)
end

function ops.Stats()
  local counts = {}
  for number, status in ipairs({ 'queued', 'running', 'succeeded', 'failed' }) do
    counts[number] = redis.call('ZCARD', key('status:' .. status))
  end
  local for_plan = 0
  for _, count in ipairs(redis.call('HVALS', key('planners'))) do
    for_plan = for_plan + count
  end
  local recent = {}
  for number, job_id in ipairs(redis.call('ZREVRANGE', key('succeeded'), 0, RECENT - 1)) do
    recent[number] = redis.call('HMGET', key('job:' .. job_id),
      'started_at', 'finished_at', 'work', 'device_seconds', 'plan_seconds', 'decoder')
  end
  local oldest = false
  local first = redis.call('ZRANGE', key('status:queued'), 0, 0)[1]
  if first then
    oldest = redis.call('HGET', key('job:' .. first), 'created_at')
  end
  return { counts, for_plan, recent, oldest, redis.call('ZCARD', key('deliveries:due')) }
end

local function by_place(one, other)
  return one.place < other.place
end

function ops.Backlog()
  local found = {}
  for _, status in ipairs({ 'queued', 'running' }) do
    for _, job_id in ipairs(redis.call('ZRANGE', key('status:' .. status), 0, -1)) do
      found[#found + 1] = jobs.find(job_id)
    end
  end
  table.sort(found, by_place)
  local backlog = {}
  for number, job in ipairs(found) do
    backlog[number] = {
      job.job_id, job.place, job.status, job.plan_pending and job.planner, job.work,
      job.runner ~= nil, job.cluster or '', job.plans or 1, job.decoder or '',
    }
  end
  return backlog
end
