-- Operations of an attempt, behind the fence: an attempt that lost its job changes nothing.

local function held(op)
  local job = jobs.find(op.job_id)
  if job and jobs.belongs(job, op.attempt) then
    return job
  end
end

function ops.IsOwner(op)
  return held(op) ~= nil
end

function ops.Start(op, now)
  local job = held(op)
  if not job then
    return false
  end
  if job.status == 'queued' then
    jobs.transition(job, 'start', now)
  end
  return true
end

-- From now on the job takes a decode slot.
function ops.SavePlan(op, now)
  local job = held(op)
  if not job then
    return false
  end
  redis.call('HSET', key('texts:' .. job.job_id), 'plan', op.plan)
  if job.plan_pending then
    local planned = jobs.change(job, {
      plan_pending = false,
      plan_seconds = op.seconds,
      work = op.work or job.work,
    })
    publish(planned, 'planned', now)
  end
  return true
end

-- A job with a result was started, even if no Start was applied.
function ops.Finish(op, now)
  local job = jobs.find(op.job_id)
  if not job then
    return false
  end
  if not jobs.belongs(job, op.attempt) then
    return job.ended_by == op.attempt
  end
  if not op.result then
    jobs.transition(job, 'fail', now, {
      error = op.error and op.error ~= '' and op.error or MESSAGES.failed,
      error_code = op.error_code or 'internal',
      ended_by = op.attempt,
    })
    return true
  end
  if job.status == 'queued' then
    job = jobs.transition(job, 'start', now)
  end
  redis.call('HSET', key('texts:' .. job.job_id), 'result', op.result)
  jobs.transition(job, 'succeed', now, {
    ended_by = op.attempt,
    device_seconds = op.device_seconds,
  })
  return true
end

function ops.Release(op, now)
  local job = jobs.find(op.job_id)
  if not job then
    return false
  end
  if not jobs.belongs(job, op.attempt) then
    return job.released == op.attempt
  end
  give_back(job, now, op.lost, op.max_starts, op.attempt)
  return true
end
