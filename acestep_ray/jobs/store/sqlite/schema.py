"""The tables, with versions: each entry of MIGRATIONS leads from one version to the next.

The version is SQLite's ``user_version``. A published entry is never edited; a change is a new
entry.
"""

import sqlite3

from acestep_ray.jobs.store.errors import SchemaTooNew

_VERSION_1 = (
    # ``place`` is the order of the queue and of listings; AUTOINCREMENT never uses a place twice.
    # ``runner`` is set while the job is leased. ``plan_pending``: a plan is needed and not made.
    # ``released``: the last attempt that was given back; ``ended_by``: the attempt whose finish
    # ended the job. With both, a repeated call returns the same as the first.
    """
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
    ) STRICT
    """,
    """
    CREATE INDEX jobs_waiting ON jobs (plan_pending, place)
        WHERE status = 'queued' AND runner IS NULL
    """,
    "CREATE INDEX jobs_leased ON jobs (runner, plan_pending) WHERE runner IS NOT NULL",
    """
    CREATE INDEX jobs_unfinished ON jobs (started_at)
        WHERE finished_at IS NULL AND started_at IS NOT NULL
    """,
    "CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL",
    "CREATE INDEX jobs_succeeded ON jobs (finished_at, started_at) WHERE status = 'succeeded'",
    "CREATE INDEX jobs_by_status ON jobs (status, place)",
    "CREATE INDEX jobs_by_owner ON jobs (owner, place)",
    "CREATE INDEX jobs_by_owner_and_status ON jobs (owner, status, place)",
    # The long texts have their own table, so that a change of status does not write them again.
    """
    CREATE TABLE texts (
        place INTEGER PRIMARY KEY,
        spec TEXT NOT NULL,
        plan TEXT,
        result TEXT
    ) STRICT
    """,
    """
    CREATE TABLE runners (
        runner TEXT PRIMARY KEY,
        alive_until REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # Lease requests that leased jobs, so that a repeated one leases no others.
    """
    CREATE TABLE leases (
        runner TEXT NOT NULL,
        request_id TEXT NOT NULL,
        leased_at REAL NOT NULL,
        PRIMARY KEY (runner, request_id)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE idempotency (
        owner TEXT NOT NULL,
        key TEXT NOT NULL,
        job_id TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        created_at REAL NOT NULL,
        PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX idempotency_by_job ON idempotency (job_id)",
    "CREATE INDEX idempotency_by_age ON idempotency (created_at)",
    # Ids of deleted or expired jobs: 410 instead of 404.
    """
    CREATE TABLE tombstones (
        job_id TEXT PRIMARY KEY,
        expired_at REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX tombstones_by_age ON tombstones (expired_at)",
    # Ids whose artifacts are still to be deleted; may be kept longer than the tombstone.
    """
    CREATE TABLE garbage (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL UNIQUE
    ) STRICT
    """,
)

_VERSION_2 = (
    # ``cluster`` is set while the job is leased. ``work``: seconds of audio times steps.
    "ALTER TABLE jobs ADD COLUMN planner TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE jobs ADD COLUMN work REAL NOT NULL DEFAULT 0.0",
    "ALTER TABLE jobs ADD COLUMN cluster TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE jobs ADD COLUMN plan_seconds REAL",
    "ALTER TABLE jobs ADD COLUMN device_seconds REAL",
    """
    CREATE INDEX jobs_to_plan ON jobs (planner, place)
        WHERE status = 'queued' AND runner IS NULL AND plan_pending = 1
    """,
    "DROP INDEX jobs_leased",
    "CREATE INDEX jobs_leased ON jobs (runner, cluster, plan_pending, planner)"
    " WHERE runner IS NOT NULL",
)

_VERSION_3 = (
    "CREATE INDEX jobs_by_error ON jobs (error_code, place) WHERE error_code IS NOT NULL",
    "CREATE INDEX jobs_by_owner_and_error ON jobs (owner, error_code, place)"
    " WHERE error_code IS NOT NULL",
)

_VERSION_4 = (
    # ``webhook``: JSON of jobs.webhook.Webhook. ``webhook_kinds``: the kinds of changes that are to
    # be delivered, joined by commas.
    "ALTER TABLE jobs ADD COLUMN task TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE jobs ADD COLUMN webhook TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE jobs ADD COLUMN webhook_kinds TEXT NOT NULL DEFAULT ''",
    # Webhook messages: see records.DeliveryRecord. ``change``: JSON (stored_change.py).
    # ``lease_request``: the last LeaseDeliveries that took it, until its outcome is stored.
    """
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
    """,
    "CREATE INDEX deliveries_by_job ON deliveries (job_id, number)",
    "CREATE INDEX deliveries_due ON deliveries (next_at, number) WHERE state = 'pending'",
    "CREATE INDEX deliveries_leased ON deliveries (lease_request) WHERE lease_request IS NOT NULL",
)

_VERSION_5 = (
    # ``plans``: plan slots that the job takes while it is planned.
    "ALTER TABLE jobs ADD COLUMN plans INTEGER NOT NULL DEFAULT 1",
)

_VERSION_6 = (
    # ``decoder``: the decoder that makes its takes, if there are several.
    "ALTER TABLE jobs ADD COLUMN decoder TEXT NOT NULL DEFAULT ''",
    "DROP INDEX jobs_to_plan",
    """
    CREATE INDEX jobs_to_plan ON jobs (planner, decoder, place)
        WHERE status = 'queued' AND runner IS NULL AND plan_pending = 1
    """,
    "DROP INDEX jobs_waiting",
    """
    CREATE INDEX jobs_to_decode ON jobs (decoder, place)
        WHERE status = 'queued' AND runner IS NULL AND plan_pending = 0
    """,
    "DROP INDEX jobs_leased",
    "CREATE INDEX jobs_leased ON jobs (runner, cluster, plan_pending, planner, decoder)"
    " WHERE runner IS NOT NULL",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
)


def migrate(db: sqlite3.Connection) -> None:
    """Bring the database to the newest version, in one transaction; a failure leaves it as it was.

    ``db`` must be in autocommit mode. Raises SchemaTooNew, sqlite3.Error.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        refuse_newer(version)
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in statements:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def refuse_newer(version: int) -> None:
    """Raise SchemaTooNew if a later release wrote the database."""
    if version > len(MIGRATIONS):
        raise SchemaTooNew(
            f"The job store has schema version {version}, but this release knows versions up"
            f" to {len(MIGRATIONS)}; run the release that wrote it, or a later one."
        )
