"""One request to a receiver: to the address that was checked, and never longer than its time."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
import trustme

from acestep_ray.webhooks.post import NoResponse, Poster, Response
from acestep_ray.webhooks.resolver import Resolver
from acestep_ray.webhooks.target import target_of
from tests.service import free_port
from tests.unit.webhooks.names import SetNames
from tests.webhook_receiver import Receiver, Reply

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def poster(timeout: float = 30.0) -> Poster:
    return Poster(Resolver(LOOPBACK), timeout)


@asynccontextmanager
async def raw_server(
    serve: Serve, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """A server of any behaviour; its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()

    port = free_port()
    server = await asyncio.start_server(handle, host, port, ssl=tls)
    try:
        yield port
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def replying(text: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()

    return serve


async def test_a_request_is_what_the_receiver_gets(receiver: Receiver) -> None:
    found = await poster().post(
        target_of(f"{receiver.url}/hook?a=1"), {"webhook-id": "m"}, "ü".encode()
    )
    assert found == Response(204) and found.delivered
    (received,) = receiver.received
    assert (received.path, received.body.decode()) == ("/hook?a=1", "ü")
    assert received.headers["host"] == receiver.url.removeprefix("http://")
    assert received.headers["webhook-id"] == "m"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    """It could lead to an address that must not be called."""
    receiver.reply = lambda _: Reply(status, (("Location", f"{receiver.url}/other"),))
    found = await poster().post(target_of(receiver.url), {}, b"{}")
    assert found.status == status and not found.delivered
    assert [one.path for one in receiver.received] == ["/"]


async def test_the_address_that_was_checked_is_called_though_the_name_now_has_another(
    receiver: Receiver, names: SetNames
) -> None:
    """Otherwise a name service could give the check one address, and the call another."""
    port = int(receiver.url.rpartition(":")[2])
    service = names({"music.example": [["127.0.0.1"], ["127.0.0.2"]]})
    found = await poster().post(target_of(f"http://music.example:{port}/"), {}, b"{}")
    assert found.status == 204
    assert receiver.received[0].headers["host"] == f"music.example:{port}"
    assert service.asked.count("music.example") == 1


async def test_each_try_checks_again(receiver: Receiver, names: SetNames) -> None:
    port = int(receiver.url.rpartition(":")[2])
    names({"music.example": [["127.0.0.1"], ["10.0.0.1"]]})
    same = poster()
    target = target_of(f"http://music.example:{port}/")
    assert (await same.post(target, {}, b"{}")).status == 204
    with pytest.raises(NoResponse, match=r"^address not allowed$"):
        await same.post(target, {}, b"{}")
    assert len(receiver.received) == 1


async def test_the_next_address_is_used_if_one_does_not_accept(
    receiver: Receiver, names: SetNames
) -> None:
    port = int(receiver.url.rpartition(":")[2])
    names({"music.example": [["::1", "127.0.0.9", "127.0.0.1"]]})
    found = await poster().post(target_of(f"http://music.example:{port}/"), {}, b"{}")
    assert found.status == 204


async def test_proxies_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve the name itself, behind the check."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert (await poster().post(target_of(receiver.url), {}, b"{}")).status == 204


async def test_a_receiver_that_never_responds() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(silent) as port:
        with pytest.raises(NoResponse, match=r"^no response within 0\.1 s$"):
            await poster(0.1).post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}")


async def test_a_receiver_that_never_answers_a_tls_handshake() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.sleep(0)

    async with raw_server(silent) as port:
        with pytest.raises(NoResponse):
            await poster(0.1).post(target_of(f"https://127.0.0.1:{port}/"), {}, b"{}")


async def test_a_receiver_that_sends_its_response_byte_by_byte() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_server(slow) as port:
        with pytest.raises(NoResponse, match="no response within"):
            await poster(0.3).post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}")


@pytest.mark.parametrize("size", [b"Content-Length: 100000000000\r\n", b""])
async def test_an_endless_body_is_not_read(size: bytes) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + size + b"\r\n")
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()
            sent += 1000

    async with raw_server(endless) as port:
        found = await poster().post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}")
    assert found == Response(200)
    assert sent < 50_000_000  # what buffers of the system hold


async def test_a_body_that_does_not_come_does_not_change_the_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("acestep_ray.webhooks.post.READ_SECONDS", 0.1)

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        await reader.read()

    async with raw_server(half) as port:
        found = await poster().post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}")
    assert found == Response(202)


@pytest.mark.parametrize(
    "text",
    [b"", b"HTTP/1.1", b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 300_000,
     b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000],
)  # fmt: skip
async def test_what_does_not_speak_http(text: bytes) -> None:
    async with raw_server(replying(text)) as port:
        with pytest.raises(NoResponse, match="ended without an HTTP response"):
            await poster().post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}")


async def test_endless_interim_responses() -> None:
    """They would keep the process of the runner busy."""

    async def interim(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await writer.drain()
            await asyncio.sleep(0)

    async with raw_server(interim) as port:
        with pytest.raises(NoResponse, match="ended without an HTTP response"):
            await poster(600).post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}")


async def test_nobody_listens() -> None:
    with pytest.raises(NoResponse, match=r"^no connection$"):
        await poster().post(target_of(f"http://127.0.0.1:{free_port()}/"), {}, b"{}")


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (b"120", 120, 120),
        (b" 7 ", 7, 7),
        (b"999999999999999999999", 999_999_999, 999_999_999),
        (b"Fri, 01 Jan 2100 00:00:00 GMT", 1e8, 1e10),
        (b"Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
    ],
)
async def test_retry_after(value: bytes, least: float, most: float) -> None:
    text = b"HTTP/1.1 503 Busy\r\nRetry-After: " + value + b"\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(replying(text)) as port:
        found = await poster().post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}")
    assert found.status == 503
    assert found.retry_after is not None and least <= found.retry_after <= most


@pytest.mark.parametrize("value", [b"soon", b"-5", b"1.5", b"\xb2", b"\xff", b""])
async def test_a_retry_after_that_is_none(value: bytes) -> None:
    text = b"HTTP/1.1 503 Busy\r\nRetry-After: " + value + b"\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(replying(text)) as port:
        found = await poster().post(target_of(f"http://127.0.0.1:{port}/"), {}, b"{}")
    assert found == Response(503)


@pytest.fixture
def authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> trustme.CA:
    """A certificate authority that this machine trusts."""
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return authority


def server_tls(authority: trustme.CA, *identities: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*identities).configure_cert(context)
    return context


OK = replying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def test_tls_with_the_certificate_of_the_name(authority: trustme.CA, names: SetNames) -> None:
    names({"music.example": [["127.0.0.1"]], "music.example.": [["127.0.0.1"]]})
    async with raw_server(OK, server_tls(authority, "music.example")) as port:
        for host in ("music.example", "music.example."):
            found = await poster().post(target_of(f"https://{host}:{port}/"), {}, b"{}")
            assert found == Response(200)


async def test_tls_with_the_certificate_of_another_name(
    authority: trustme.CA, names: SetNames
) -> None:
    names({"music.example": [["127.0.0.1"]]})
    async with raw_server(OK, server_tls(authority, "other.example", "127.0.0.1")) as port:
        with pytest.raises(NoResponse, match=r"certificate is not valid.*music\.example"):
            await poster().post(target_of(f"https://music.example:{port}/"), {}, b"{}")


async def test_tls_with_a_certificate_that_nobody_knows(names: SetNames) -> None:
    names({"music.example": [["127.0.0.1"]]})
    async with raw_server(OK, server_tls(trustme.CA(), "music.example")) as port:
        with pytest.raises(NoResponse, match="certificate is not valid"):
            await poster().post(target_of(f"https://music.example:{port}/"), {}, b"{}")


async def test_tls_of_an_address(authority: trustme.CA) -> None:
    async with raw_server(OK, server_tls(authority, "::1"), host="::1") as port:
        found = await poster().post(target_of(f"https://[::1]:{port}/"), {}, b"{}")
    assert found == Response(200)


async def test_a_receiver_without_tls(receiver: Receiver) -> None:
    port = int(receiver.url.rpartition(":")[2])
    with pytest.raises(NoResponse):
        await poster().post(target_of(f"https://127.0.0.1:{port}/"), {}, b"{}")
