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

-- The slots that leased jobs of a cluster use: for decoding, for planning, and of each planner.
local function used_slots(cluster)
  local decoding, planning, by_planner = 0, 0, {}
  local slots = redis.call('HGETALL', key('slots:' .. cluster))
  for number = 1, #slots, 2 do
    local kind, count = slots[number], tonumber(slots[number + 1])
    if kind == 'decode' then
      decoding = count
    else
      planning = planning + count
      by_planner[string.sub(kind, #'plan:' + 1)] = count
    end
  end
  -- One slot of each job is counted already. A release before this set does not remove its jobs.
  for _, job_id in ipairs(redis.call('ZRANGE', key('plans:' .. cluster), 0, -1)) do
    local job = jobs.find(job_id)
    if job and job.runner and job.cluster == cluster and job.plan_pending then
      local more = (job.plans or 1) - 1
      planning = planning + more
      by_planner[job.planner] = (by_planner[job.planner] or 0) + more
    else
      redis.call('ZREM', key('plans:' .. cluster), job_id)
    end
  end
  return decoding, planning, by_planner
end

-- The jobs that are to be planned next, in the order of their places. `plan_free`: slots of all
-- planners together.
local function next_to_plan(op, plan_free, by_planner)
  local waiting, free = {}, {}
  local function slots(planner)
    return math.min(op.planner_slots[planner] or op.plan_slots, op.plan_slots)
  end
  for _, planner in ipairs(redis.call('HKEYS', key('planners'))) do
    free[planner] = math.max(0, slots(planner) - (by_planner[planner] or 0))
    for _, job_id in ipairs(first('waiting:plan:' .. planner, math.min(free[planner], plan_free))) do
      waiting[#waiting + 1] = job_id
    end
  end
  local found = {}
  for _, job in ipairs(in_order(waiting, #waiting)) do
    local plans = math.max(1, math.min(job.plans or 1, slots(job.planner)))
    if plans > free[job.planner] then
      free[job.planner] = 0 -- no later job of this planner may be leased before it
    elseif plans > plan_free then
      break
    else
      free[job.planner] = free[job.planner] - plans
      plan_free = plan_free - plans
      found[#found + 1] = job
    end
  end
  return found
end

-- The waiting jobs for which slots are free, in the order of their places.
local function next_jobs(op)
  local decoding, planning, by_planner = used_slots(op.cluster)
  -- A job that got its plan uses a decode slot, so more decode slots may be used than there are.
  -- Then no new plan is begun: its job would only wait for a decode slot.
  local both = op.plan_slots + op.decode_slots
  local plan_free = math.max(0, math.min(op.plan_slots - planning, both - planning - decoding))
  local decode_free = math.max(0, op.decode_slots - decoding)
  local found = next_to_plan(op, plan_free, by_planner)
  for _, job in ipairs(in_order(first('waiting:decode', decode_free), decode_free)) do
    found[#found + 1] = job
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
