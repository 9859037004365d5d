"""Tests of Redis alone: how it is reached, what it may lose, and to whom its data belongs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from acestep_ray.jobs.store.errors import SchemaTooNew, StoreUnavailable, StoreUnsuitable
from acestep_ray.jobs.store.operations import KeepAlive
from acestep_ray.jobs.store.redis import RedisStore, script
from tests.redis_server import RedisServer
from tests.service import free_port, until
from tests.unit.jobs.store.redis_jobs import ids, submit

PASSWORD = "open sesame: #1?"


# How it is reached


def test_a_password_is_needed_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(tmp_path, requirepass=PASSWORD)
    server.start()
    quoted = server.url.replace("//", f"//:{quote(PASSWORD, safe='')}@")
    for store in (RedisStore(quoted), RedisStore(server.url, password=PASSWORD)):
        store.apply(submit("a"), 1.0)
        assert PASSWORD not in f"{store!r} {vars(store)}"
        store.close()
    for password in (None, "guessed"):
        with pytest.raises(StoreUnsuitable, match="set ACESTEP_STORE_PASSWORD"):
            RedisStore(server.url, password=password)
    server.kill()
    with pytest.raises(StoreUnavailable) as refused:
        RedisStore(quoted)
    error: BaseException | None = refused.value
    while error is not None:
        assert PASSWORD not in str(error)
        assert quote(PASSWORD, safe="") not in str(error)
        error = error.__cause__ or error.__context__
    assert PASSWORD not in caplog.text


def test_a_socket_will_do(tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    server = RedisServer(tmp_path, unixsocket=str(socket))
    server.start()
    store = RedisStore(f"unix://{socket}?volatile=allow&db=3")
    store.apply(submit("a"), 1.0)
    assert server.do("INFO", "keyspace").keys() == {"db3"}
    server.kill()
    with pytest.raises(StoreUnavailable, match=rf"Redis at {socket}\) cannot be reached"):
        store.apply(submit("b"), 1.0)
    store.close()


def test_a_database_that_is_not_there_is_reported_in_a_sentence(server: RedisServer) -> None:
    with pytest.raises(StoreUnavailable, match="has no database of that number"):
        RedisStore(server.url.replace("/0", "/99"))


def test_an_encrypted_connection_wants_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    trusted, chain = tmp_path / "ca.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(str(trusted))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(chain))
    port = free_port()
    tls = {"tls-port": f"{port}", "tls-cert-file": f"{chain}", "tls-key-file": f"{chain}"}
    server = RedisServer(
        tmp_path, **tls, **{"tls-ca-cert-file": f"{trusted}", "tls-auth-clients": "no"}
    )
    server.start()
    url = f"rediss://127.0.0.1:{port}/2"
    store = RedisStore(f"{url}?ssl_ca_certs={trusted}")
    store.apply(submit("a"), 1.0)
    assert ids(store) == ["a"]
    assert server.do("INFO", "keyspace").keys() == {"db2"}
    assert store.peers().exchange("", 0).missed  # by a connection of its own
    store.close()
    with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        RedisStore(url)
    server.kill()


# What it may lose


def test_a_redis_that_keeps_nothing_is_refused_unless_that_is_allowed(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, appendonly="no")
    server.start()
    with pytest.raises(StoreUnsuitable, match=r"no append-only file, .* set appendonly yes"):
        RedisStore(server.url)
    store = RedisStore(server.url + "?volatile=allow")
    store.apply(submit("a"), 1.0)
    store.close()
    server.kill()


def test_a_redis_that_evicts_is_refused(server: RedisServer) -> None:
    server.do("CONFIG SET", "maxmemory", "100mb")
    server.do("CONFIG SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnsuitable, match="set maxmemory-policy noeviction"):
        RedisStore(server.url)
    server.do("CONFIG SET", "maxmemory-policy", "volatile-lru")  # evicts peer states only
    RedisStore(server.url).close()


@pytest.mark.parametrize(
    ("command", "warned"),
    [
        ("CONFIG SET appendfsync always", ""),
        ("CONFIG SET appendfsync no", "has appendfsync no: "),
        # As a managed Redis does.
        ("ACL SETUSER default -config", "has appendfsync unknown: "),
    ],
)
def test_what_a_power_cut_may_lose_is_reported(
    server: RedisServer, caplog: pytest.LogCaptureFixture, command: str, warned: str
) -> None:
    server.do(*command.split())
    if "unknown" in warned and any(server.do("COMMAND INFO", "WAITAOF")):
        RedisStore(server.url).close()  # it waits for the disk, whatever the policy is
        assert caplog.text == ""
        server.do("ACL SETUSER", "default", "-waitaof")
    RedisStore(server.url).close()
    assert bool(caplog.text) is bool(warned)
    assert warned in caplog.text


def test_an_accepted_job_is_on_disk_though_it_is_written_once_a_second(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """If Redis can be asked to wait; if it cannot, there is a warning."""
    server = RedisServer(tmp_path, appendfsync="everysec")
    server.start()
    store = RedisStore(server.url)
    store.apply([*submit("a"), KeepAlive("r", 9)], 1.0)
    waits = "cmdstat_waitaof" in server.do("INFO", "commandstats")
    can_wait = any(server.do("COMMAND INFO", "WAITAOF"))
    assert waits is can_wait
    assert ("has appendfsync everysec" in caplog.text) is not waits
    store.close()
    server.kill()


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_outlives_a_killed_server(
    server: RedisServer, store: RedisStore, acknowledged: int
) -> None:
    """Every batch that was acknowledged, perhaps the one that was being sent, and none in part."""
    done: list[int] = []

    def write() -> None:
        while True:
            number = len(done)
            store.apply(submit(*(f"{number}-{part}" for part in "abc"), spec="x" * 20_000), 1.0)
            done.append(number)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        until(lambda: len(done) >= acknowledged, "nothing is written")
        server.kill()
        with pytest.raises(StoreUnavailable):
            writer.result()
    server.start()
    found = ids(store)
    batches = len(found) // 3
    assert batches in (len(done), len(done) + 1)
    assert found == [f"{number}-{part}" for number in range(batches) for part in "abc"]


# Versions


def test_a_newer_database_is_refused_and_left_alone(server: RedisServer, store: RedisStore) -> None:
    store.apply(submit("a"), 1.0)
    server.do("HSET", "{acestep}:meta", "version", "999")
    with pytest.raises(SchemaTooNew, match="has schema version 999, but this release knows"):
        RedisStore(server.url)
    # Also if it changed while the store was open, as during an upgrade.
    with pytest.raises(SchemaTooNew):
        store.apply(submit("b"), 1.0)
    server.do("HSET", "{acestep}:meta", "version", str(script.SCHEMA_VERSION))
    assert ids(store) == ["a"]


def test_an_emptied_database_is_begun_anew(server: RedisServer, store: RedisStore) -> None:
    store.apply(submit("a"), 1.0)
    server.do("FLUSHALL")
    store.apply(submit("b"), 1.0)
    assert ids(store) == ["b"]
    RedisStore(server.url).close()
