"""An assistant, as the official SDK's client, makes and fetches songs."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import AudioContent, CallToolResult, TextContent

from acestep_ray.cli.connection import Connection
from acestep_ray.cli.mcp.server import make_server
from tests.one_process import OneProcess
from tests.service import free_port, until
from tests.unit.cli.commands import COMMAND, CommandLine, environment

SHORT = {"seconds": 2, "audio_format": "wav", "seed": "7"}


async def called(assistant: Client, tool: str, **arguments: object) -> Any:
    """What a tool returned."""
    answer = await assistant.call_tool(tool, arguments)
    assert not answer.is_error, answer
    return answer.structured_content


async def refusal(assistant: Client, tool: str, **arguments: object) -> str:
    """Why a tool did nothing."""
    answer = await assistant.call_tool(tool, arguments)
    assert isinstance(answer, CallToolResult) and answer.is_error
    (text,) = answer.content
    assert isinstance(text, TextContent)
    return text.text


async def made(assistant: Client, tool: str, **arguments: object) -> Mapping[str, Any]:
    """Make a song and fetch it."""
    job = await called(assistant, tool, **arguments)
    ended = await called(assistant, "wait", job_id=job["job_id"])
    assert ended["status"] == "succeeded", ended
    saved: Mapping[str, Any] = await called(assistant, "fetch", job_id=job["job_id"])
    return saved


def assistant_of(service: OneProcess, folder: Path) -> Client:
    """An assistant whose server is in this process."""
    return Client(make_server(Connection(service.url), folder))


async def test_a_program_that_an_assistant_starts_makes_a_song(cli: CommandLine) -> None:
    env = environment(ACESTEP_URL=cli.url)
    words = [*COMMAND[1:], "mcp", "-o", str(cli.folder / "songs")]
    started = StdioServerParameters(command=COMMAND[0], args=words, env=env, cwd=cli.folder)
    async with Client(stdio_client(started)) as assistant:
        assert assistant.server_info and assistant.server_info.name == "acestep-ray"
        saved = await made(assistant, "generate", caption="upbeat pop", **SHORT)
    (file,) = saved["files"]
    assert Path(file).is_relative_to(cli.folder / "songs") and saved["seeds"] == "7"
    assert soundfile.info(file).duration == pytest.approx(2, abs=0.1)
    assert saved["seconds"] == pytest.approx(2, abs=0.1), "though no language model planned it"


async def test_songs_are_repainted_and_covered_by_file_or_job(
    service: OneProcess, tmp_path: Path
) -> None:
    async with assistant_of(service, tmp_path) as assistant:
        first = await made(
            assistant, "generate", caption="pop", plan=True, **{**SHORT, "seconds": 10}
        )
        by_file = await made(
            assistant, "repaint", source=first["files"][0], caption="guitar", start=1, end=2
        )
        assert soundfile.info(by_file["files"][0]).duration == pytest.approx(10, abs=0.2)
        by_job = await made(
            assistant, "cover", source=f"{first['job_id']}/1", caption="jazz", strength=0.5
        )
        listed = await called(assistant, "list_jobs", limit=2, status="succeeded")
        assert [job["job_id"] for job in listed["jobs"]] == [by_job["job_id"], by_file["job_id"]]
        assert listed["jobs"][0]["caption"] == "jazz"


async def test_progress_is_reported_while_an_assistant_waits(
    slow_service: OneProcess, tmp_path: Path
) -> None:
    shown: list[tuple[float, str | None]] = []

    async def show(progress: float, total: float | None, message: str | None) -> None:
        assert total == 1.0
        shown.append((progress, message))

    async with assistant_of(slow_service, tmp_path) as assistant:
        others = {"inference_steps": 4}
        job = await called(assistant, "generate", caption="x", seconds=10, others=others)
        arguments = {"job_id": job["job_id"]}
        early = await assistant.call_tool("wait", {**arguments, "seconds": 1})
        assert isinstance(early, CallToolResult) and early.structured_content
        assert early.structured_content["status"] in ("queued", "running"), "call it again"
        await assistant.call_tool("wait", arguments, progress_callback=show)
    fractions = [done for done, _ in shown]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(fractions) > 2
    assert "making music" in [message for _, message in shown]


async def test_a_job_is_cancelled(slow_service: OneProcess, tmp_path: Path) -> None:
    async with assistant_of(slow_service, tmp_path) as assistant:
        job = await called(assistant, "generate", caption="x")
        cancelled = await called(assistant, "cancel", job_id=job["job_id"])
        assert (cancelled["status"], cancelled["error_code"]) == ("failed", "cancelled")
        assert (await called(assistant, "status", job_id=job["job_id"])) == cancelled
        assert "cancelled" in await refusal(assistant, "fetch", job_id=job["job_id"])


async def test_a_refusal_is_a_sentence_with_the_names_of_parameters(
    service: OneProcess, tmp_path: Path
) -> None:
    async with assistant_of(service, tmp_path) as assistant:
        wrong = await refusal(assistant, "generate", caption="x", seconds=0.1, bpm=5)
        assert "bpm must be a whole number from 30 to 300" in wrong
        assert "\nseconds must be a number of seconds from 1 to 600 (with plan from 10)" in wrong
        wrong = await refusal(assistant, "cover", caption="x", source="/nowhere.wav")
        assert "/nowhere.wav is neither a file nor a take of a job" in wrong
        wrong = await refusal(assistant, "generate", caption="x", bpm=90, others={"bpm": 91})
        assert "bpm is set twice" in wrong
        wrong = await refusal(assistant, "generate", others={"captoin": "x"})
        assert "captoin is not a field of the API. Is it caption?" in wrong
        wrong = await refusal(assistant, "fetch", job_id="550e8400-e29b-41d4-a716-446655440000")
        assert "There is no such job." in wrong
    gone = make_server(Connection("http://127.0.0.1:9", patience=0), tmp_path)
    async with Client(gone) as assistant:
        wrong = await refusal(assistant, "models")
        assert "No service can be reached at http://127.0.0.1:9 " in wrong and "--url" in wrong


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        (
            "fetch",
            {"job_id": "x", "folder": "/tmp"},
            "fetch has no parameter folder. It has job_id.",
        ),
        *(
            ("generate", {"caption": "x", name: 30}, f"no parameter {name}. Is it seconds? It has")
            for name in ("duration", "audio_duration", "length")
        ),
        ("repaint", {"source": "x", "duration": 30}, "no parameter duration. It has source,"),
        ("models", {"full": True}, "models has no parameters; it got full."),
        ("generate", {"captoin": "x"}, "no parameter captoin. Is it caption? It has caption, lyr"),
        (
            "generate",
            {"caption": "x", "shift": 2},
            "shift. It is a field of the API: put it into o",
        ),
        (
            "generate",
            {"caption": "x", "bpm": "fast"},
            'bpm must be a whole number or null, and is "',
        ),
        ("generate", {"caption": "x", "plan": 7}, "plan must be true or false, and is 7."),
        (
            "generate",
            {"caption": "x" * 4001},
            "caption must be a text of up to 4,000 characters, an",
        ),
        (
            "list_jobs",
            {"status": "tired"},
            "status must be one of queued, running, succeeded, failed",
        ),
        ("list_jobs", {"limit": 0}, "limit must be a whole number from 1 to 100, and is 0."),
        (
            "wait",
            {"job_id": "x", "seconds": 0},
            "seconds must be a number above 0 up to 600, and is",
        ),
        ("cover", {"caption": "x"}, "source is missing. Path of an audio file"),
        ("generate", {}, "Nothing says what to make: give caption, lyrics or description"),
        ("generate", {"caption": " ", "seconds": 20}, "Nothing says what to make"),
    ],
)
async def test_wrong_arguments_are_refused_in_plain_words(
    tmp_path: Path, tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    nowhere = make_server(Connection("http://127.0.0.1:9", patience=0), tmp_path)
    async with Client(nowhere) as assistant:
        wrong = await refusal(assistant, tool, **arguments)
    assert sentence in wrong and "Input should be" not in wrong


async def test_all_wrong_arguments_are_named_at_once(tmp_path: Path) -> None:
    nowhere = make_server(Connection("http://127.0.0.1:9", patience=0), tmp_path)
    async with Client(nowhere) as assistant:
        wrong = await refusal(assistant, "generate", captoin="x", bpm="fast", takes=None)
        tools = (await assistant.list_tools()).tools
    assert [line.split()[0] for line in wrong.splitlines()] == ["generate", "bpm", "takes"]
    assert all(tool.input_schema["additionalProperties"] is False for tool in tools)


async def test_an_assistant_that_hears_gets_the_audio(service: OneProcess, tmp_path: Path) -> None:
    async with assistant_of(service, tmp_path) as assistant:
        saved = await made(assistant, "generate", caption="pop", seconds=2)
        answer = await assistant.call_tool("listen", {"job_id": saved["job_id"]})
        assert isinstance(answer, CallToolResult)
        (audio,) = answer.content
        assert isinstance(audio, AudioContent) and audio.mime_type == "audio/mpeg"
        assert len(audio.data) > 10_000
        wrong = await refusal(assistant, "listen", job_id=saved["job_id"], take=9)
        assert "There is no take 9: the job has 1 take." in wrong
        long = await made(assistant, "generate", caption="pop", seconds=40, audio_format="wav")
        assert "too many for an answer: use the file" in await refusal(
            assistant, "listen", job_id=long["job_id"]
        )


async def test_what_can_be_asked_for(service: OneProcess, tmp_path: Path) -> None:
    async with assistant_of(service, tmp_path) as assistant:
        found = await called(assistant, "models")
        assert found["models"] == ["mock"] and found["mock"] and found["most_takes"] == 8
        tools = (await assistant.list_tools()).tools
    for tool in tools:
        assert tool.description and tool.annotations
        for name, parameter in tool.input_schema["properties"].items():
            assert parameter.get("description") or name in ("status", "limit", "take"), name


@pytest.fixture
def http_url(cli: CommandLine) -> Iterator[str]:
    """Where `acestep-ray mcp --http` serves."""
    port = free_port()
    words = [*COMMAND, "mcp", "-o", str(cli.folder), "--http", str(port)]
    process = subprocess.Popen(words, env=environment(ACESTEP_URL=cli.url))
    url = f"http://127.0.0.1:{port}/mcp"

    def answers() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(url, headers={"Host": "evil.example"}).status_code == 421
        except httpx.TransportError:
            return False

    try:
        until(answers, "it did not start, or it answers to any name of a host")
        yield url
    finally:
        process.terminate()
        process.wait(60)


async def test_over_http_for_programs_of_this_machine(http_url: str) -> None:
    async with Client(http_url) as assistant:
        assert (await made(assistant, "generate", caption="pop", seconds=2))["files"]


def test_without_the_sdk_one_sentence_names_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['mcp'] = None\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "acestep_ray.cli", "mcp"],
        env=environment(PYTHONPATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    sentence = "acestep-ray: mcp is not installed: pip install 'acestep-ray[mcp]'.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)
