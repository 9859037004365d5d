BEGIN TRANSACTION;
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
INSERT INTO "idempotency" VALUES('owner','key of cancelled','cancelled','body of cancelled',1004.0);
INSERT INTO "idempotency" VALUES('owner','key of failed','failed','body of failed',1003.0);
INSERT INTO "idempotency" VALUES('owner','key of planned','planned','body of planned',1002.0);
INSERT INTO "idempotency" VALUES('owner','key of queued','queued','body of queued',1007.0);
INSERT INTO "idempotency" VALUES('owner','key of queued-codes','queued-codes','body of queued-codes',1008.0);
INSERT INTO "idempotency" VALUES('owner','key of queued-plan','queued-plan','body of queued-plan',1006.0);
INSERT INTO "idempotency" VALUES('owner','key of queued-repaint','queued-repaint','body of queued-repaint',1009.0);
INSERT INTO "idempotency" VALUES('owner','key of running','running','body of running',1001.0);
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
    , planner TEXT NOT NULL DEFAULT '', work REAL NOT NULL DEFAULT 0.0, cluster TEXT NOT NULL DEFAULT '', plan_seconds REAL, device_seconds REAL) STRICT
    ;
INSERT INTO "jobs" VALUES(1,'succeeded','owner','succeeded',1,0,1000.0,1022.0,1030.0,1,1,NULL,NULL,NULL,1,NULL,NULL,'Planner',160.0,'',0.5,2.0);
INSERT INTO "jobs" VALUES(2,'running','owner','running',0,0,1001.0,1022.0,NULL,1,1,'runner','request',NULL,NULL,NULL,NULL,'',160.0,'',NULL,NULL);
INSERT INTO "jobs" VALUES(3,'planned','owner','queued',1,0,1002.0,NULL,NULL,1,0,'runner','request',NULL,NULL,NULL,NULL,'Planner',160.0,'',0.5,NULL);
INSERT INTO "jobs" VALUES(4,'failed','owner','failed',0,0,1003.0,1022.0,1030.0,1,1,NULL,NULL,NULL,1,'The decoder ran out of memory.','out_of_memory','',160.0,'',NULL,NULL);
INSERT INTO "jobs" VALUES(5,'cancelled','owner','failed',0,0,1004.0,NULL,1030.0,1,0,NULL,NULL,NULL,NULL,'The job was cancelled.','cancelled','',160.0,'',NULL,NULL);
INSERT INTO "jobs" VALUES(7,'queued-plan','owner','queued',1,1,1006.0,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,'Planner',160.0,'',NULL,NULL);
INSERT INTO "jobs" VALUES(8,'queued','owner','queued',0,0,1007.0,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,'',160.0,'',NULL,NULL);
INSERT INTO "jobs" VALUES(9,'queued-codes','owner','queued',0,0,1008.0,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,'',160.0,'',NULL,NULL);
INSERT INTO "jobs" VALUES(10,'queued-repaint','owner','queued',0,0,1009.0,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,NULL,'',160.0,'',NULL,NULL);
CREATE TABLE leases (
        runner TEXT NOT NULL,
        request_id TEXT NOT NULL,
        leased_at REAL NOT NULL,
        PRIMARY KEY (runner, request_id)
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "leases" VALUES('runner','request',1021.0);
CREATE TABLE runners (
        runner TEXT PRIMARY KEY,
        alive_until REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "runners" VALUES('runner',1025.0);
CREATE TABLE texts (
        place INTEGER PRIMARY KEY,
        spec TEXT NOT NULL,
        plan TEXT,
        result TEXT
    ) STRICT
    ;
INSERT INTO "texts" VALUES(1,'{"task":"text2music","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":10.0,"codes":[],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":0.0,"repaint_end":null,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":null,"reference":null,"audio_format":"wav","model":"","lm":{"model":"acestep-5Hz-lm-1.7B","backend":"mock","infer_type":"llm_dit","temperature":0.6,"cfg_scale":2.0,"negative_prompt":"NO USER INPUT","top_k":50,"top_p":0.9,"repetition_penalty":1.1,"planner":"Planner"},"warnings":[]}','{"metadata":{"bpm":97,"caption":"calm","duration":10,"keyscale":"D minor","language":"en","timesignature":"3"},"codes":[7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7],"seconds":10.0,"model":"acestep-5Hz-lm-1.7B","elapsed":0.5,"mock":true}','{"takes":[{"index":0,"key":"takes/succeeded/1/0.wav","seed":1,"format":"wav","bytes":44,"sha256":"0000000000000000000000000000000000000000000000000000000000000000","samples":480000}],"plan":{"metadata":{"bpm":97,"caption":"calm","duration":10,"keyscale":"D minor","language":"en","timesignature":"3"},"codes":[7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7],"seconds":10.0,"model":"acestep-5Hz-lm-1.7B","elapsed":0.5,"mock":true},"generation_info":"Steps: 8","duration":10.0,"warnings":[]}');
INSERT INTO "texts" VALUES(2,'{"task":"text2music","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":10.0,"codes":[],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":0.0,"repaint_end":null,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":null,"reference":null,"audio_format":"wav","model":"","lm":null,"warnings":[]}',NULL,NULL);
INSERT INTO "texts" VALUES(3,'{"task":"text2music","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":10.0,"codes":[],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":0.0,"repaint_end":null,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":null,"reference":null,"audio_format":"wav","model":"","lm":{"model":"acestep-5Hz-lm-1.7B","backend":"mock","infer_type":"llm_dit","temperature":0.6,"cfg_scale":2.0,"negative_prompt":"NO USER INPUT","top_k":50,"top_p":0.9,"repetition_penalty":1.1,"planner":"Planner"},"warnings":[]}','{"metadata":{"bpm":97,"caption":"calm","duration":10,"keyscale":"D minor","language":"en","timesignature":"3"},"codes":[7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7],"seconds":10.0,"model":"acestep-5Hz-lm-1.7B","elapsed":0.5,"mock":true}',NULL);
INSERT INTO "texts" VALUES(4,'{"task":"text2music","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":10.0,"codes":[],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":0.0,"repaint_end":null,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":null,"reference":null,"audio_format":"wav","model":"","lm":null,"warnings":[]}',NULL,NULL);
INSERT INTO "texts" VALUES(5,'{"task":"text2music","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":10.0,"codes":[],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":0.0,"repaint_end":null,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":null,"reference":null,"audio_format":"wav","model":"","lm":null,"warnings":[]}',NULL,NULL);
INSERT INTO "texts" VALUES(7,'{"task":"text2music","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":10.0,"codes":[],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":0.0,"repaint_end":null,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":null,"reference":null,"audio_format":"wav","model":"","lm":{"model":"acestep-5Hz-lm-1.7B","backend":"mock","infer_type":"llm_dit","temperature":0.6,"cfg_scale":2.0,"negative_prompt":"NO USER INPUT","top_k":50,"top_p":0.9,"repetition_penalty":1.1,"planner":"Planner"},"warnings":[]}',NULL,NULL);
INSERT INTO "texts" VALUES(8,'{"task":"text2music","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":10.0,"codes":[],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":0.0,"repaint_end":null,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":null,"reference":null,"audio_format":"wav","model":"","lm":null,"warnings":[]}',NULL,NULL);
INSERT INTO "texts" VALUES(9,'{"task":"text2music","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":null,"codes":[[5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5,5]],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":0.0,"repaint_end":null,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":null,"reference":null,"audio_format":"wav","model":"","lm":null,"warnings":[]}',NULL,NULL);
INSERT INTO "texts" VALUES(10,'{"task":"repaint","caption":"a song of an earlier release","lyrics":"la la","vocal_language":"en","instruction":"","bpm":120,"key_scale":"A minor","time_signature":"4","duration":10.0,"codes":[],"seeds":[1,2],"steps":8,"guidance_scale":7.0,"shift":3.0,"cfg_interval":[0.0,1.0],"cover_strength":1.0,"repaint_start":2.0,"repaint_end":4.0,"track_name":"","track_classes":[],"use_tiled_decode":true,"use_cot_caption":false,"source":{"key":"sources/x/source.flac","sample_rate":44100,"channels":2,"samples":441000},"reference":null,"audio_format":"wav","model":"","lm":null,"warnings":[]}',NULL,NULL);
CREATE TABLE tombstones (
        job_id TEXT PRIMARY KEY,
        expired_at REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "tombstones" VALUES('deleted',1030.0);
CREATE INDEX jobs_waiting ON jobs (plan_pending, place)
        WHERE status = 'queued' AND runner IS NULL
    ;
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
CREATE INDEX jobs_to_plan ON jobs (planner, place)
        WHERE status = 'queued' AND runner IS NULL AND plan_pending = 1
    ;
CREATE INDEX jobs_leased ON jobs (runner, cluster, plan_pending, planner) WHERE runner IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',10);
INSERT INTO "sqlite_sequence" VALUES('garbage',1);
COMMIT;
PRAGMA user_version = 2;
