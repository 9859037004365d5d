-- Webhook messages. Each has a hash. `deliveries:due` orders those that are pending by the time of
-- their next try; `deliveries:of:JOB` orders those of a job by their number. `webhooks` has the jobs
-- that have not ended and whose end is to be delivered.

function deliveries.wanted(job, event)
  local kinds = ',' .. (job.webhook_kinds or '') .. ','
  return string.find(kinds, ',' .. event .. ',', 1, true) ~= nil
end

local function row(delivery_id)
  return key('delivery:' .. delivery_id)
end

-- Messages that are due at the same time are in the order of their numbers.
local function due_member(number, delivery_id)
  return string.format('%016d %s', number, delivery_id)
end

local function id_of(member)
  return string.sub(member, 18)
end

-- Write a message with all its columns, and the change that it reports.
function deliveries.put(delivery, change)
  local delivery_id = delivery.delivery_id
  local number = redis.call('HINCRBY', key('meta'), 'last_delivery', 1)
  local fields = { 'number', number, 'change', cmsgpack.pack(change) }
  for name, value in pairs(delivery) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  redis.call('HSET', row(delivery_id), unpack(fields))
  redis.call('ZADD', key('deliveries:of:' .. delivery.job_id), number, delivery_id)
  if delivery.state == 'pending' then
    redis.call('ZADD', key('deliveries:due'), delivery.next_at, due_member(number, delivery_id))
  end
end

-- Add the message about a change, which is due at once. The id is that of webhook_messages.py.
function deliveries.insert(change, event)
  local delivery_id = string.format('%s-%s-%d', change.job_id, event, change.attempt)
  if redis.call('EXISTS', row(delivery_id)) == 0 then
    deliveries.put({
      delivery_id = delivery_id,
      job_id = change.job_id,
      kind = event,
      state = 'pending',
      created_at = change.at,
      tries = 0,
      next_at = change.at,
    }, change)
  end
end

local function remove(job_id, delivery_id)
  local number = redis.call('HGET', row(delivery_id), 'number')
  redis.call('ZREM', key('deliveries:due'), due_member(number, delivery_id))
  redis.call('ZREM', key('deliveries:of:' .. job_id), delivery_id)
  redis.call('DEL', row(delivery_id))
end

local function of_job(job_id)
  return redis.call('ZRANGE', key('deliveries:of:' .. job_id), 0, -1)
end

-- A store of an earlier release has ended the job, without a message.
local function add_end(job)
  local change = change_of(job, 'ended', job.finished_at, job.error_code == 'worker_lost')
  deliveries.insert(change, EVENTS.ended)
  redis.call('ZREM', key('webhooks'), job.job_id)
end

-- The messages of all jobs that a store of an earlier release has ended or deleted. (Of one that it
-- deleted, nothing is left that could be delivered.)
function deliveries.add_missing()
  for _, job_id in ipairs(redis.call('ZINTER', 2, key('webhooks'), key('finished'))) do
    add_end(jobs.find(job_id))
  end
  for _, job_id in ipairs(redis.call('ZDIFF', 2, key('webhooks'), key('all'))) do
    redis.call('ZREM', key('webhooks'), job_id)
  end
end

-- An ended job is about to be removed: of its messages only those that are pending stay.
function deliveries.job_removed(job)
  if not job.webhook_kinds or job.webhook_kinds == '' then
    return
  end
  if redis.call('ZSCORE', key('webhooks'), job.job_id) then
    add_end(job)
  end
  for _, delivery_id in ipairs(of_job(job.job_id)) do
    if redis.call('HGET', row(delivery_id), 'state') ~= 'pending' then
      remove(job.job_id, delivery_id)
    end
  end
end

-- The id of a job is forgotten: so are the messages that were never delivered.
function deliveries.forget(job_id)
  for _, delivery_id in ipairs(of_job(job_id)) do
    remove(job_id, delivery_id)
  end
end

-- The values of a DeliveryRecord: the columns of DELIVERY, and the change.
local function record(delivery_id)
  local values = redis.call('HMGET', row(delivery_id), unpack(DELIVERY))
  values[#values + 1] = cmsgpack.unpack(redis.call('HGET', row(delivery_id), 'change'))
  return values
end

-- The messages that a request still has.
local function held_by_request(request_id, now)
  local held = {}
  local ids = redis.call('GET', key('deliveries:request:' .. request_id))
  for _, delivery_id in ipairs(ids and cmsgpack.unpack(ids) or {}) do
    local found = redis.call('HMGET', row(delivery_id), 'lease_request', 'next_at')
    if found[1] == request_id and tonumber(found[2]) > now then
      held[#held + 1] = record(delivery_id)
    end
  end
  return held
end

function ops.LeaseDeliveries(op, now)
  local leased = held_by_request(op.request_id, now)
  if #leased > 0 then
    return leased
  end
  local due = redis.call(
    'ZRANGEBYSCORE', key('deliveries:due'), '-inf', now, 'LIMIT', 0, math.max(0, op.limit)
  )
  if #due == 0 then
    return {}
  end
  table.sort(due)
  local ids = {}
  for number, member in ipairs(due) do
    local delivery_id = id_of(member)
    redis.call('ZADD', key('deliveries:due'), now + op.seconds, member)
    redis.call('HSET', row(delivery_id),
      'next_at', now + op.seconds, 'lease_request', op.request_id)
    ids[number] = delivery_id
    leased[number] = record(delivery_id)
  end
  local seconds = math.max(1, math.ceil(op.seconds))
  redis.call('SET', key('deliveries:request:' .. op.request_id), cmsgpack.pack(ids), 'EX', seconds)
  return leased
end

function ops.SaveDelivery(op, now)
  local found = redis.call('HMGET', row(op.delivery_id), 'state', 'tries', 'number', 'job_id')
  local state, tries, number, job_id = unpack(found)
  if state ~= 'pending' or (op.tries <= tonumber(tries) and op.state ~= 'delivered') then
    return
  end
  local pending = op.state == 'pending'
  if not pending and redis.call('EXISTS', key('job:' .. job_id)) == 0 then
    remove(job_id, op.delivery_id)
    return
  end
  local next_at = pending and (op.next_at or now) or nil
  redis.call('HDEL', row(op.delivery_id), 'next_at', 'http_status', 'error', 'lease_request')
  redis.call('HSET', row(op.delivery_id),
    'state', op.state, 'tries', math.max(tonumber(tries), op.tries), 'last_try_at', now)
  for name, value in pairs({ next_at = next_at, http_status = op.http_status, error = op.error }) do
    redis.call('HSET', row(op.delivery_id), name, value)
  end
  if pending then
    redis.call('ZADD', key('deliveries:due'), next_at, due_member(number, op.delivery_id))
  else
    redis.call('ZREM', key('deliveries:due'), due_member(number, op.delivery_id))
  end
end

function ops.ListDeliveries(op)
  local records = {}
  for number, delivery_id in ipairs(of_job(op.job_id)) do
    records[number] = record(delivery_id)
  end
  return records
end
