-- How jobs expire, and which artifacts of theirs are still to be deleted.

local KEEP_REQUESTS = 3600 -- seconds; no runner repeats a lease request later
local MOST = 10000 -- ids and keys that one purge deletes; the next purge continues

function ops.Purge(op, now)
  local function older(name, keep, limit)
    local before = string.format('(%.17g', now - keep)
    return redis.call('ZRANGEBYSCORE', key(name), '-inf', before, 'LIMIT', 0, math.max(0, limit))
  end
  local old = older('finished', op.keep, op.limit)
  for _, job_id in ipairs(old) do
    jobs.expire(jobs.find(job_id), now)
  end
  for _, job_id in ipairs(older('tombstones', op.keep_expired, MOST)) do
    redis.call('ZREM', key('tombstones'), job_id)
    deliveries.forget(job_id)
  end
  for _, field in ipairs(older('idempotency:age', op.keep_idempotency, MOST)) do
    redis.call('HDEL', key('idempotency'), field)
    redis.call('ZREM', key('idempotency:age'), field)
  end
  for _, request in ipairs(older('leases', KEEP_REQUESTS, MOST)) do
    redis.call('ZREM', key('leases'), request)
  end
  local sweeps = redis.call('HGETALL', key('sweeps'))
  for number = 1, #sweeps, 2 do
    if tonumber(sweeps[number + 1]) < now - KEEP_REQUESTS then
      redis.call('HDEL', key('sweeps'), sweeps[number])
    end
  end
  return #old
end

-- Oldest first.
function ops.ListGarbage(op)
  return first('garbage', op.limit)
end

function ops.AckGarbage(op)
  for _, job_id in ipairs(op.job_ids) do
    redis.call('ZREM', key('garbage'), job_id)
  end
end
