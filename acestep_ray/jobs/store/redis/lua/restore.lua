-- Operations of a migration only: they write rows as the other store had them.

function ops.Restore(op)
  jobs.put(op.job, op.texts)
end

function ops.RestoreDelivery(op)
  deliveries.put(op.delivery, op.change)
end

function ops.RestoreKey(op)
  local field = op.owner .. '\0' .. op.key
  redis.call('HSET', key('idempotency'), field, cmsgpack.pack({ op.job_id, op.fingerprint }))
  redis.call('ZADD', key('idempotency:age'), op.created_at, field)
  if redis.call('EXISTS', key('job:' .. op.job_id)) == 1 then
    redis.call('HSET', key('job:' .. op.job_id), 'idempotency', field)
  end
end

function ops.RestoreTombstone(op)
  redis.call('ZADD', key('tombstones'), op.expired_at, op.job_id)
end

function ops.RestoreGarbage(op)
  local number = redis.call('HINCRBY', key('meta'), 'last_garbage', 1)
  redis.call('ZADD', key('garbage'), 'NX', number, op.job_id)
end
