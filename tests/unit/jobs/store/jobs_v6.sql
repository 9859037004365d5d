-- A job store as schema version 6 left it. Never edit: migrations are tested from here on.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN TRANSACTION;
CREATE TABLE deliveries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        delivery_id TEXT NOT NULL UNIQUE,
        job_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        change TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at REAL NOT NULL,
        tries INTEGER NOT NULL,
        next_at REAL,
        last_try_at REAL,
        http_status INTEGER,
        error TEXT,
        lease_request TEXT
    ) STRICT
    ;
INSERT INTO "deliveries" VALUES(1,'succeeded-submitted-0','succeeded','submitted','{"job_id": "succeeded", "kind": "submitted", "status": "queued", "at": 1000.0, "owner": "owner", "task": "text2music", "webhook": "{\"url\":\"https://example.org/hook\",\"events\":[\"submitted\",\"running\",\"ended\"]}", "attempt": 0, "created_at": 1000.0, "lost": false}','delivered',1000.0,1,NULL,1009.5,204,NULL,NULL);
INSERT INTO "deliveries" VALUES(2,'succeeded-running-1','succeeded','running','{"job_id": "succeeded", "kind": "started", "status": "running", "at": 1008.5, "owner": "owner", "task": "text2music", "webhook": "{\"url\":\"https://example.org/hook\",\"events\":[\"submitted\",\"running\",\"ended\"]}", "attempt": 1, "created_at": 1000.0, "started_at": 1008.5, "lost": false}','failed',1008.5,1,NULL,1009.5,410,'The receiver wants no more.',NULL);
INSERT INTO "deliveries" VALUES(3,'succeeded-ended-1','succeeded','ended','{"job_id": "succeeded", "kind": "ended", "status": "succeeded", "at": 1020.0, "owner": "owner", "task": "text2music", "webhook": "{\"url\":\"https://example.org/hook\",\"events\":[\"submitted\",\"running\",\"ended\"]}", "attempt": 1, "created_at": 1000.0, "started_at": 1008.5, "finished_at": 1020.0, "lost": false}','pending',1020.0,1,1025.5,1021.0,500,'The receiver answered 500.',NULL);
CREATE TABLE garbage (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL UNIQUE
    ) STRICT
    ;
INSERT INTO "garbage" VALUES(1,'deleted');
CREATE TABLE idempotency (
        owner TEXT NOT NULL,
        key TEXT NOT NULL,
        job_id TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        created_at REAL NOT NULL,
        PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "idempotency" VALUES('owner','key of failed','failed','body of failed',1001.0);
INSERT INTO "idempotency" VALUES('owner','key of leased','leased','body of leased',1004.0);
INSERT INTO "idempotency" VALUES('owner','key of queued','queued','body of queued',1005.0);
INSERT INTO "idempotency" VALUES('owner','key of running','running','body of running',1003.0);
INSERT INTO "idempotency" VALUES('owner','key of succeeded','succeeded','body of succeeded',1000.0);
CREATE TABLE jobs (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
        needs_plan INTEGER NOT NULL,
        plan_pending INTEGER NOT NULL,
        created_at REAL NOT NULL,
        started_at REAL,
        finished_at REAL,
        attempt INTEGER NOT NULL,
        starts INTEGER NOT NULL,
        runner TEXT,
        lease_request TEXT,
        released INTEGER,
        ended_by INTEGER,
        error TEXT,
        error_code TEXT
    , planner TEXT NOT NULL DEFAULT '', work REAL NOT NULL DEFAULT 0.0, cluster TEXT NOT NULL DEFAULT '', plan_seconds REAL, device_seconds REAL, task TEXT NOT NULL DEFAULT '', webhook TEXT NOT NULL DEFAULT '', webhook_kinds TEXT NOT NULL DEFAULT '', plans INTEGER NOT NULL DEFAULT 1, decoder TEXT NOT NULL DEFAULT '') STRICT
    ;
INSERT INTO "jobs" VALUES(1,'succeeded','owner','succeeded',1,0,1000.0,1008.5,1020.0,1,1,NULL,NULL,NULL,1,NULL,NULL,'Planner',480.0,'',1.0,2.5,'text2music','{"url":"https://example.org/hook","events":["submitted","running","ended"]}','submitted,running,ended',1,'');
INSERT INTO "jobs" VALUES(2,'failed','owner','failed',0,0,1001.0,NULL,1021.0,1,0,NULL,NULL,NULL,1,'The model ran out of memory.','out_of_memory','',0.0,'',NULL,NULL,'text2music','','',1,'');
INSERT INTO "jobs" VALUES(4,'running','owner','running',1,0,1003.0,1008.5,NULL,1,1,'runner-1','request-1',NULL,NULL,NULL,NULL,'Planner',480.0,'c',NULL,NULL,'text2music','{"url":"https://example.org/hook","events":["submitted","running","ended"]}','ended',1,'');
INSERT INTO "jobs" VALUES(5,'leased','owner','queued',0,0,1004.0,NULL,NULL,1,0,'runner-1','request-1',NULL,NULL,NULL,NULL,'',0.0,'c',NULL,NULL,'text2music','','',1,'');
INSERT INTO "jobs" VALUES(6,'queued','owner','queued',1,1,1005.0,NULL,NULL,1,0,NULL,NULL,1,NULL,NULL,NULL,'Planner',480.0,'',NULL,NULL,'text2music','','',4,'Decoder-xl');
CREATE TABLE leases (
        runner TEXT NOT NULL,
        request_id TEXT NOT NULL,
        leased_at REAL NOT NULL,
        PRIMARY KEY (runner, request_id)
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "leases" VALUES('runner-1','request-1',1008.0);
CREATE TABLE runners (
        runner TEXT PRIMARY KEY,
        alive_until REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "runners" VALUES('runner-1',1060.0);
CREATE TABLE texts (
        place INTEGER PRIMARY KEY,
        spec TEXT NOT NULL,
        plan TEXT,
        result TEXT
    ) STRICT
    ;
INSERT INTO "texts" VALUES(1,'{"caption": "succeeded"}','{"plan of": "succeeded"}','{"takes": []}');
INSERT INTO "texts" VALUES(2,'{"caption": "failed"}',NULL,NULL);
INSERT INTO "texts" VALUES(4,'{"caption": "running"}','{"plan of": "running"}',NULL);
INSERT INTO "texts" VALUES(5,'{"caption": "leased"}',NULL,NULL);
INSERT INTO "texts" VALUES(6,'{"caption": "queued"}',NULL,NULL);
CREATE TABLE tombstones (
        job_id TEXT PRIMARY KEY,
        expired_at REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "tombstones" VALUES('deleted',1007.0);
CREATE INDEX jobs_unfinished ON jobs (started_at)
        WHERE finished_at IS NULL AND started_at IS NOT NULL
    ;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_succeeded ON jobs (finished_at, started_at) WHERE status = 'succeeded';
CREATE INDEX jobs_by_status ON jobs (status, place);
CREATE INDEX jobs_by_owner ON jobs (owner, place);
CREATE INDEX jobs_by_owner_and_status ON jobs (owner, status, place);
CREATE INDEX idempotency_by_job ON idempotency (job_id);
CREATE INDEX idempotency_by_age ON idempotency (created_at);
CREATE INDEX tombstones_by_age ON tombstones (expired_at);
CREATE INDEX jobs_by_error ON jobs (error_code, place) WHERE error_code IS NOT NULL;
CREATE INDEX jobs_by_owner_and_error ON jobs (owner, error_code, place) WHERE error_code IS NOT NULL;
CREATE INDEX deliveries_by_job ON deliveries (job_id, number);
CREATE INDEX deliveries_due ON deliveries (next_at, number) WHERE state = 'pending';
CREATE INDEX deliveries_leased ON deliveries (lease_request) WHERE lease_request IS NOT NULL;
CREATE INDEX jobs_to_plan ON jobs (planner, decoder, place)
        WHERE status = 'queued' AND runner IS NULL AND plan_pending = 1
    ;
CREATE INDEX jobs_to_decode ON jobs (decoder, place)
        WHERE status = 'queued' AND runner IS NULL AND plan_pending = 0
    ;
CREATE INDEX jobs_leased ON jobs (runner, cluster, plan_pending, planner, decoder) WHERE runner IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',6);
INSERT INTO "sqlite_sequence" VALUES('deliveries',3);
INSERT INTO "sqlite_sequence" VALUES('garbage',1);
COMMIT;
PRAGMA user_version = 6;
