-- Operations of runners: liveness, leases, and how jobs return from runners that are gone.

local found_nothing = {} -- lease requests of this batch; the caller keeps them between batches

-- Never shortened: a batch whose caller stopped waiting may run after later ones.
function ops.KeepAlive(op, now)
  redis.call('ZADD', key('runners'), 'GT', now + op.ttl, op.runner)
end

-- If another store swept after op.since, the database was available: see operations.ExtendLeases.
function ops.ExtendLeases(op, now)
  local sweeps = redis.call('HGETALL', key('sweeps'))
  for number = 1, #sweeps, 2 do
    if sweeps[number] ~= STORE and tonumber(sweeps[number + 1]) > op.since then
      return
    end
  end
  for _, runner in ipairs(redis.call('ZRANGE', key('runners'), 0, -1)) do
    redis.call('ZADD', key('runners'), 'GT', now + op.ttl, runner)
  end
end

local function held_by(runner)
  local held = {}
  for number, job_id in ipairs(redis.call('ZRANGE', key('held:' .. runner), 0, -1)) do
    held[number] = jobs.find(job_id)
  end
  return held
end

local function first(set, count)
  if count < 1 then
    return {}
  end
  return redis.call('ZRANGE', key(set), 0, count - 1)
end

-- The first `count` of the jobs, in the order of their places.
local function in_order(ids, count)
  local found = {}
  for number, job_id in ipairs(ids) do
    found[number] = jobs.find(job_id)
  end
  table.sort(found, by_place)
  for number = #found, count + 1, -1 do
    found[number] = nil
  end
  return found
end

local function add(counts, name, more)
  counts[name] = (counts[name] or 0) + more
end

-- Name and decoder of PLANNER or PLANNER SEPARATOR DECODER; of 'decode', likewise.
local function parts_of(queue)
  local at = string.find(queue, SEPARATOR, 1, true)
  if at then
    return string.sub(queue, 1, at - 1), string.sub(queue, at + 1)
  end
  return queue, ''
end

-- The slots that leased jobs of a cluster use: for plans in all, and of each planner; for decoding,
-- of each decoder; and of each decoder for both.
local function used_slots(cluster)
  local used = { plans = 0, planning = {}, decoding = {}, by_decoder = {} }
  local slots = redis.call('HGETALL', key('slots:' .. cluster))
  for number = 1, #slots, 2 do
    local kind, count = slots[number], tonumber(slots[number + 1])
    local name, decoder = parts_of(kind)
    add(used.by_decoder, decoder, count)
    if name == 'decode' then
      add(used.decoding, decoder, count)
    else
      used.plans = used.plans + count
      add(used.planning, string.sub(name, #'plan:' + 1), count)
    end
  end
  -- One slot of each job is counted already. A release before this set does not remove its jobs.
  for _, job_id in ipairs(redis.call('ZRANGE', key('plans:' .. cluster), 0, -1)) do
    local job = jobs.find(job_id)
    if job and job.runner and job.cluster == cluster and job.plan_pending then
      local more = (job.plans or 1) - 1
      used.plans = used.plans + more
      add(used.planning, job.planner, more)
      add(used.by_decoder, job.decoder or '', more)
    else
      redis.call('ZREM', key('plans:' .. cluster), job_id)
    end
  end
  return used
end

local function planner_slots(op, planner)
  return math.min(op.planner_slots[planner] or op.plan_slots, op.plan_slots)
end

-- A client of an earlier release does not send decoder_slots.
local function decoder_slots(op, decoder)
  return math.min((op.decoder_slots or {})[decoder] or op.decode_slots, op.decode_slots)
end

local function decode_queue(decoder)
  return 'waiting:decode' .. (decoder == '' and '' or SEPARATOR .. decoder)
end

-- Place of the first job that will still wait for this decoder alone. No later plan is begun: jobs
-- go on from their plan to the decoder, and that one would never get there.
local function left_waiting(op, decoder, used)
  local slots = decoder_slots(op, decoder)
  local free = math.max(0, slots - (used.decoding[decoder] or 0))
  local found = redis.call('ZRANGE', key(decode_queue(decoder)), free, free, 'WITHSCORES')[2]
  return found and slots > 0 and tonumber(found) or math.huge
end

-- The jobs that are to be planned next, in the order of their places.
local function next_to_plan(op, used)
  local plan_free = math.max(0, op.plan_slots - used.plans)
  local waiting, free, room, ahead = {}, {}, {}, {}
  for _, queue in ipairs(redis.call('HKEYS', key('planners'))) do
    local planner, decoder = parts_of(queue)
    free[planner] = math.max(0, planner_slots(op, planner) - (used.planning[planner] or 0))
    -- A job that got its plan uses a decode slot, so more decode slots may be used than there are.
    -- Then no new plan is begun: its job would only wait for a decode slot.
    local both = op.plan_slots + decoder_slots(op, decoder)
    room[decoder] = math.max(0, both - (used.by_decoder[decoder] or 0))
    if (op.decoder_slots or {})[decoder] == 0 then
      room[decoder] = 0
    end
    ahead[decoder] = left_waiting(op, decoder, used)
    local most = math.min(free[planner], room[decoder], plan_free) + 1
    for _, job_id in ipairs(first('waiting:plan:' .. queue, most)) do
      waiting[#waiting + 1] = job_id
    end
  end
  local found = {}
  local reserved = {} -- planners of which the first job that waits for them has its decode slot
  for _, job in ipairs(in_order(waiting, #waiting)) do
    local decoder = job.decoder or ''
    if free[job.planner] > 0 or not reserved[job.planner] then
      local plans = math.max(1, math.min(job.plans or 1, planner_slots(op, job.planner)))
      if plans > room[decoder] or ahead[decoder] < job.place then
        room[decoder] = 0 -- each later job of this decoder waits, too
      elseif free[job.planner] < plans then
        free[job.planner] = 0 -- and each of this planner; others leave the first one its place
        room[decoder] = room[decoder] - plans
        reserved[job.planner] = true
      elseif plans > plan_free then
        break
      else
        free[job.planner] = free[job.planner] - plans
        room[decoder] = room[decoder] - plans
        plan_free = plan_free - plans
        found[#found + 1] = job
      end
    end
  end
  return found
end

local function next_to_decode(op, used, decoder, found)
  local free = math.max(0, decoder_slots(op, decoder) - (used.decoding[decoder] or 0))
  for _, job in ipairs(in_order(first(decode_queue(decoder), free), free)) do
    found[#found + 1] = job
  end
end

-- The waiting jobs for which slots are free, in the order of their places.
local function next_jobs(op)
  local used = used_slots(op.cluster)
  local found = next_to_plan(op, used)
  next_to_decode(op, used, '', found)
  for _, decoder in ipairs(redis.call('HKEYS', key('decoders'))) do
    next_to_decode(op, used, decoder, found)
  end
  table.sort(found, by_place)
  return found
end

-- A repeated request returns what it still holds, and leases nothing.
function ops.Lease(op, now)
  local request = op.runner .. '\0' .. op.request_id
  if op.found_nothing or found_nothing[request] then
    return {}
  end
  local leased = {}
  if redis.call('ZSCORE', key('leases'), request) then
    for _, job in ipairs(held_by(op.runner)) do
      if job.lease_request == op.request_id then
        leased[#leased + 1] = job
      end
    end
    return jobs.records(leased)
  end
  local alive_until = redis.call('ZSCORE', key('runners'), op.runner)
  if alive_until and tonumber(alive_until) >= now then
    for number, job in ipairs(next_jobs(op)) do
      leased[number] = jobs.change(job, {
        attempt = job.attempt + 1,
        runner = op.runner,
        lease_request = op.request_id,
        cluster = op.cluster,
      })
    end
  end
  if #leased > 0 then
    redis.call('ZADD', key('leases'), now, request)
  else
    found_nothing[request] = true
  end
  return jobs.records(leased)
end

-- Take a leased job from its runner, back to its place. Not `lost`: its start is no longer counted.
-- `lost`: its start stays counted, and if it had not begun, the lost worker counts as a start;
-- after `max_starts` starts the job fails.
local function give_back(job, now, lost, max_starts, released)
  local begun = job.status == 'running'
  local starts = job.starts - (begun and 1 or 0) + (lost and 1 or 0)
  if lost and starts >= max_starts then
    local times = starts == 1 and 'once' or string.format('%d times', starts)
    local message = begun and MESSAGES.given_up or MESSAGES.given_up_unbegun
    return jobs.transition(job, 'give_up', now, {
      error = string.gsub(message, '{times}', times),
      error_code = 'worker_lost',
      starts = starts,
      released = released,
    }, true)
  end
  return jobs.transition(job, 'lose', now, { starts = starts, released = released }, lost)
end

function ops.Deregister(op, now)
  for _, job in ipairs(held_by(op.runner)) do
    give_back(job, now, false)
  end
  redis.call('ZREM', key('runners'), op.runner)
end

-- A job that had not begun cannot have killed its runner; a running job may have.
function ops.Sweep(op, now)
  local changed = {}
  for _, runner in ipairs(redis.call('HKEYS', key('holders'))) do
    local alive_until = redis.call('ZSCORE', key('runners'), runner)
    if not alive_until or tonumber(alive_until) < now then
      for _, job in ipairs(held_by(runner)) do
        give_back(job, now, job.status == 'running', op.max_starts)
        changed[#changed + 1] = job.job_id
      end
    end
  end
  local limit = string.format('(%.17g', now - op.timeout)
  for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', key('started'), '-inf', limit)) do
    jobs.transition(jobs.find(job_id), 'time_out', now, {
      error = string.gsub(MESSAGES.overdue, '{seconds}', string.format('%g', op.timeout)),
      error_code = 'timeout',
    })
    changed[#changed + 1] = job_id
  end
  redis.call('ZREMRANGEBYSCORE', key('runners'), '-inf', string.format('(%.17g', now))
  redis.call('HSET', key('sweeps'), STORE, now)
  jobs.index_errors()
  deliveries.add_missing()
  return changed
end
