"""Audio that comes with a request: stored, or refused without a trace."""

import asyncio
import errno
import io
import struct
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from acestep_ray.api.routes import submit as submitting
from acestep_ray.artifacts.errors import StorageError
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Submit
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, field_errors, problem_of, warnings_of


def song(seconds: float = 2.0, rate: int = 8000, format: str = "WAV") -> bytes:
    """A tone, mono."""
    time = np.arange(round(seconds * rate)) / rate
    out = io.BytesIO()
    soundfile.write(out, 0.5 * np.sin(2 * np.pi * 440 * time), rate, format=format)
    return out.getvalue()


SONG = song()


async def send(api: ApiHarness, files: dict[str, bytes], **fields: Any) -> httpx.Response:
    return await api.http.post(
        URL,
        data={name: str(value) for name, value in fields.items()},
        files={name: ("song.mp3", data) for name, data in files.items()},
    )


@pytest.fixture
def inputs(api: ApiHarness) -> Path:
    folder = api.settings.audio_root_dirs[0]
    folder.mkdir(parents=True)
    return folder


async def test_an_uploaded_source(api: ApiHarness) -> None:
    answer = await send(api, {"src_audio": SONG}, caption="remix this song", task_type="repaint")
    assert "warnings" not in answer.json()
    job_id = answer.json()["job_id"]
    spec = await api.stored(job_id)
    assert spec.decode.source and spec.decode.reference is None
    assert (
        spec.decode.source.sample_rate,
        spec.decode.source.channels,
        spec.decode.source.samples,
    ) == (8000, 1, 16_000)
    assert await api.stored_keys() == [spec.decode.source.key]
    out = api.folder / "out.flac"
    await api.artifacts.fetch(spec.decode.source.key, out)
    samples, rate = soundfile.read(out)
    expected, _ = soundfile.read(io.BytesIO(SONG))
    assert rate == 8000 and np.allclose(samples, expected, atol=1e-6)


async def test_what_is_odd_in_a_file_is_said_in_the_answer_and_in_the_job(
    api: ApiHarness,
) -> None:
    files = {"src_audio": SONG[:-2], "reference_audio": SONG[:-100]}
    answer = await send(api, files, task_type="cover")
    assert answer.status_code == 200
    source, reference = answer.json()["warnings"]
    assert source == (
        "src_audio: it ends 0.001 seconds before its header says; all that is there, 2.00 seconds, "
        "was read."
    )
    assert reference.startswith("reference_audio: it ends 0.006 seconds before its header says")
    job = await api.http.get(f"/v1/jobs/{answer.json()['job_id']}")
    assert job.json()["warnings"] == [source, reference]


async def test_a_wav_whose_writer_streamed(api: ApiHarness, inputs: Path) -> None:
    """Lengths invented by a writer that cannot go back; also if the file is on the server."""
    content = SONG[:4] + struct.pack("<I", 2_000_000_036) + SONG[8:40]
    content += struct.pack("<I", 2_000_000_000) + SONG[44:]
    answer = await send(api, {"src_audio": content}, task_type="repaint")
    spec = await api.stored(answer.json()["job_id"])
    assert spec.decode.source and spec.decode.source.samples == 16_000
    assert warnings_of(answer).startswith("src_audio: its header names 125000.0 seconds, more than")
    (inputs / "song.wav").write_bytes(content)
    path = str(inputs / "song.wav")
    answer = await api.submit(task_type="repaint", src_audio_path=path)
    assert warnings_of(answer).startswith("src_audio_path: its header names 125000.0 seconds")


async def test_a_cut_file_is_refused_with_what_is_there(api: ApiHarness) -> None:
    answer = await send(api, {"src_audio": SONG[: len(SONG) // 2]}, task_type="cover")
    errors = field_errors(answer, "invalid_audio")
    assert errors["src_audio"].startswith(
        "src_audio is refused: The audio is cut off or damaged: of 2.00 seconds only the first 1.00"
    )


async def test_audio_whose_oddness_is_not_heard_is_not_spoken_of(api: ApiHarness) -> None:
    reported = warnings_of(await send(api, {"src_audio": SONG[:-2]}, caption="a calm tune"))
    assert reported == "The source audio is not used for text2music."


async def test_both_files(api: ApiHarness) -> None:
    files = {"src_audio": SONG, "reference_audio": song(format="FLAC")}
    answer = await send(api, files, task_type="cover")
    spec = await api.stored(answer.json()["job_id"])
    assert (
        spec.decode.source
        and spec.decode.reference
        and spec.decode.source.key != spec.decode.reference.key
    )
    assert len(await api.stored_keys()) == 2


async def test_a_reference_for_a_new_song(api: ApiHarness) -> None:
    answer = await send(api, {"reference_audio": SONG})
    spec = await api.stored(answer.json()["job_id"])
    assert spec.decode.reference and spec.decode.source is None


async def test_paths_on_the_server(api: ApiHarness, inputs: Path) -> None:
    (inputs / "song.wav").write_bytes(SONG)
    path = str(inputs / "song.wav")
    spec = await api.spec(task_type="repaint", src_audio_path=path, reference_audio_path=path)
    assert spec.decode.source and spec.decode.source.samples == 16_000 and spec.decode.reference
    assert (inputs / "song.wav").read_bytes() == SONG


async def test_a_file_wins_over_the_path(api: ApiHarness) -> None:
    answer = await send(api, {"src_audio": SONG}, task_type="repaint", src_audio_path="/etc/passwd")
    assert warnings_of(answer) == "src_audio_path is not used: the file src_audio came too."


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/dev/zero", "/dev/stdin", "/proc/self/environ", "song.wav", "../song.wav", "~",
     "/nowhere/song.wav", "{inputs}", "{inputs}/none.wav", "{inputs}/../../../../../etc/passwd",
     "{inputs}/link.wav", "{inputs}/pipe", "{inputs}/text.mp3", "{inputs}/empty.wav",
     "file:///etc/passwd", "http://127.0.0.1/x.wav"],
)  # fmt: skip
async def test_paths_that_are_refused(api: ApiHarness, inputs: Path, path: str) -> None:
    import os

    (inputs / "link.wav").symlink_to("/etc/passwd")
    os.mkfifo(inputs / "pipe")
    (inputs / "text.mp3").write_text("not music")
    (inputs / "empty.wav").touch()
    sent = path.format(inputs=inputs)
    answer = await api.submit(task_type="repaint", src_audio_path=sent)
    errors = field_errors(answer, "invalid_audio")
    assert set(errors) == {"src_audio_path"}
    assert str(api.settings.data) not in answer.text and "root:" not in answer.text
    assert await api.queued() == 0 and await api.stored_keys() == []


async def test_a_path_elsewhere_names_the_folders_and_the_setting(make_api: MakeHarness) -> None:
    api = await make_api(audio_roots=("~/songs", "/srv/loops/../takes"))
    outside = [
        "/etc/passwd",
        "/etc/none",
        "/nowhere/x.wav",
        "/home/x/.ssh/id",
        "song.wav",
        "/srv/x",
    ]
    reported = set()
    for path in outside:
        answer = await api.submit(task_type="cover", src_audio_path=path)
        reported.add(field_errors(answer, "invalid_audio")["src_audio_path"])
        assert "ACESTEP_AUDIO_ROOTS" in answer.json()["errors"][0]["legal"]
    # The same for existing and for missing files; the folders as they were set.
    assert reported == {
        "src_audio_path is refused: The path must be absolute and lie under a folder that the "
        "server allows. It allows ~/songs, /srv/loops/../takes (its setting ACESTEP_AUDIO_ROOTS). "
        "Or send the file itself, as src_audio of a multipart/form-data body."
    }


async def test_the_usual_folder_is_named_without_its_place(api: ApiHarness) -> None:
    answer = await api.submit(reference_audio_path="/etc/passwd")
    error = field_errors(answer, "invalid_audio")["reference_audio_path"]
    assert "It allows the folder inputs in its data folder (its setting" in error
    assert "as reference_audio of a multipart" in error
    assert str(api.settings.data) not in answer.text


@pytest.mark.parametrize(
    "data", [b"", b"hello, I am a text file\n" * 100, SONG[:5000], SONG[:30], b"ID3" + bytes(5000),
             b"RIFF\xff\xff\xff\xffWAVEfmt "],
)  # fmt: skip
async def test_uploads_that_are_not_audio(api: ApiHarness, data: bytes) -> None:
    for field, task in (("src_audio", "repaint"), ("reference_audio", "text2music")):
        answer = await send(api, {field: data}, task_type=task)
        errors = field_errors(answer, "invalid_audio")
        assert set(errors) == {field} and errors[field].startswith(f"{field} is refused: ")
    assert await api.queued() == 0 and await api.stored_keys() == []


async def test_both_files_are_looked_at(api: ApiHarness) -> None:
    files = {"src_audio": b"text", "reference_audio": b"text"}
    answer = await send(api, files, task_type="cover")
    assert set(field_errors(answer, "invalid_audio")) == {"src_audio", "reference_audio"}


async def test_audio_that_is_too_long(make_api: MakeHarness) -> None:
    api = await make_api(limits={"duration": 10}, ingest={"seconds": 20})
    for seconds in (11, 21):
        answer = await send(api, {"src_audio": song(seconds)}, task_type="cover")
        assert set(field_errors(answer, "invalid_audio")) == {"src_audio"}
    assert (await send(api, {"src_audio": song(10)}, task_type="cover")).status_code == 200
    assert (await send(api, {"reference_audio": song(11)})).status_code == 200


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (2, "", "repainting_start"),
        (5, 6, "repainting_start"),
        (-3, -2, "repainting_end"),
        (-0.03, 0, "repainting_end"),
        (0, 0.01, "repainting_end"),
        (-9, "", "repainting_start"),
        (0, 11, "repainting_end"),
        (-5, 8, "repainting_end"),
        (-1e300, 1e300, "repainting_end"),
    ],
)
async def test_windows_that_miss_the_source(
    make_api: MakeHarness, start: float, end: float, field: str
) -> None:
    api = await make_api(limits={"duration": 10})
    answer = await send(
        api, {"src_audio": SONG}, task_type="repaint", repainting_start=start, repainting_end=end
    )
    assert set(field_errors(answer)) == {field}
    assert await api.stored_keys() == []


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, -1), (-8, 2), (-4, 6), (1.96, 2), (1.9, 10), (0.3, 0.34), (-3, ""), (-3, 0)],
)
async def test_windows(make_api: MakeHarness, start: float, end: float) -> None:
    api = await make_api(limits={"duration": 10})
    answer = await send(
        api, {"src_audio": SONG}, task_type="repaint", repainting_start=start, repainting_end=end
    )
    spec = await api.stored(answer.json()["job_id"])
    assert spec.decode.repaint_start == start
    assert spec.decode.repaint_end == (None if end in (-1, "") else end)


async def test_audio_that_is_not_needed_is_not_kept(api: ApiHarness) -> None:
    reported = warnings_of(await send(api, {"src_audio": SONG}, caption="a tune"))
    assert reported == "The source audio is not used for text2music."
    codes = await send(
        api, {"src_audio": SONG}, task_type="cover", audio_code_string="<|audio_code_1|>"
    )
    assert warnings_of(codes) == "The source audio is not used: audio codes came, and they win."
    assert (await api.stored(codes.json()["job_id"])).decode.source is None
    assert await api.stored_keys() == []


async def test_audio_that_is_not_needed_is_still_not_just_anything(api: ApiHarness) -> None:
    for fields in ({}, {"task_type": "cover", "audio_code_string": "<|audio_code_1|>"}):
        answer = await send(api, {"src_audio": b"text"}, **fields)
        assert set(field_errors(answer, "invalid_audio")) == {"src_audio"}
        path = await api.submit(src_audio_path="/etc/passwd", **fields)
        assert set(field_errors(path, "invalid_audio")) == {"src_audio_path"}
    assert await api.queued() == 0


async def test_unknown_and_empty_files(api: ApiHarness) -> None:
    answer = await api.http.post(
        URL,
        files=[
            ("cover_art", ("art.png", b"png")),
            ("src_audio", ("", b"")),
            ("reference_audio", ("song.wav", SONG)),
            ("reference_audio", ("again.wav", b"text")),
        ],
    )
    assert warnings_of(answer) == (
        "Unknown fields, ignored: cover_art. "
        "Sent more than once, only the first is used: reference_audio."
    )
    assert len(await api.stored_keys()) == 1


async def test_a_full_queue_leaves_nothing(make_api: MakeHarness) -> None:
    api = await make_api(limits={"queue": 1})
    await api.submit()
    answer = await send(api, {"src_audio": SONG}, task_type="repaint")
    problem_of(answer, 429, "queue_full")
    assert int(answer.headers["retry-after"]) > 0
    assert await api.stored_keys() == [] and await api.queued() == 1


async def test_storage_that_fails(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(key: str, path: Path) -> None:
        raise StorageError("The audio could not be stored: the storage failed.")

    monkeypatch.setattr(api.artifacts, "put_file", broken)
    answer = await send(api, {"src_audio": SONG}, task_type="repaint")
    problem = problem_of(answer, 503, "storage_unavailable")
    assert "could not be stored" in problem["detail"] and await api.queued() == 0


async def test_a_disk_that_is_full(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device: /srv/tmp")

    monkeypatch.setattr("acestep_ray.api.request.multipart._Reader.write", full)
    answer = await send(api, {"src_audio": SONG}, task_type="repaint")
    assert "disk is full" in problem_of(answer, 503, "storage_unavailable")["detail"]
    assert "/srv" not in answer.text and "/srv/tmp" in caplog.text
    monkeypatch.setattr("tempfile.tempdir", str(api.folder / "none"))
    answer = await send(api, {"src_audio": SONG}, task_type="repaint")
    problem_of(answer, 503, "storage_unavailable")
    assert await api.queued() == 0


@pytest.mark.parametrize("queued", [False, True])
async def test_a_store_that_does_not_answer(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, queued: bool
) -> None:
    """Then the job may be queued, and needs its audio; otherwise the audio must be deleted."""
    monkeypatch.setattr(submitting, "LOOK_PAUSE", 0.0)
    submit = api.service.submit

    async def lost(order: Submit) -> None:
        if queued:
            await submit(order)
        raise StoreUnavailable

    monkeypatch.setattr(api.service, "submit", lost)
    answer = await send(api, {"src_audio": SONG}, task_type="repaint")
    problem_of(answer, 503, "unavailable")
    await asyncio.gather(*submitting._settling)
    assert (len(await api.stored_keys()), await api.queued()) == ((1, 1) if queued else (0, 0))


async def test_a_client_that_hangs_up_while_its_job_is_queued(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is queued whole, with its audio, or not at all."""
    put, arrived, go_on = api.artifacts.put_file, asyncio.Event(), asyncio.Event()

    async def slow(key: str, path: Path) -> None:
        arrived.set()
        await go_on.wait()
        await put(key, path)

    monkeypatch.setattr(api.artifacts, "put_file", slow)
    request = asyncio.create_task(send(api, {"src_audio": SONG}, task_type="repaint"))
    await arrived.wait()
    request.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await api.queued() == 1 and len(await api.stored_keys()) == 1
