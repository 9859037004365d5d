"""Audio by path: what may be used, and what is refused."""

from pathlib import Path

import pytest

from acestep_ray.artifacts.store import Artifacts
from tests.unit.api.harness import URL, ApiHarness, field_errors, problem_of
from tests.unit.api.request.test_source_audio import SONG
from tests.unit.api.upstream.tasks import data_of, release

NAMES = ["src_audio_path", "ctx_audio_path", "sourceAudioPath", "srcAudioPath"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_source_in_an_allowed_folder(api: ApiHarness, name: str) -> None:
    folder = api.settings.audio_root_dirs[0]
    folder.mkdir(parents=True)
    (folder / "song.wav").write_bytes(SONG)
    sent = await release(api, task_type="cover", prompt="jazz", **{name: f"{folder}/song.wav"})
    assert sent.decode["source"].samples == 16_000


@pytest.mark.parametrize("name", ["reference_audio_path", "ref_audio_path", "refAudioPath"])
async def test_a_reference_in_an_allowed_folder(api: ApiHarness, name: str) -> None:
    folder = api.settings.audio_root_dirs[0]
    folder.mkdir(parents=True)
    (folder / "song.wav").write_bytes(SONG)
    sent = await release(api, prompt="jazz", **{name: f"{folder}/song.wav"})
    assert sent.decode["reference"].samples == 16_000


@pytest.mark.parametrize("task", ["text2music", "cover"])
@pytest.mark.parametrize("name", ["src_audio_path", "reference_audio_path"])
@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/tmp/song.wav", "song.wav", "../song.wav", "C:\\song.wav",
             "https://example.org/song.wav"],
)  # fmt: skip
async def test_foreign_paths(api: ApiHarness, task: str, name: str, path: str) -> None:
    fields = {"task_type": task, "src_audio_path": "/x", name: path, "prompt": "jazz"}
    problem = problem_of(await api.http.post("/release_task", json=fields), 400, "path_refused")
    assert "multipart/form-data" in problem["detail"]
    allowed = "the folder inputs in its data folder (its setting ACESTEP_AUDIO_ROOTS)"
    assert allowed in problem["detail"] and str(api.settings.data) not in problem["detail"]
    assert await api.queued() == 0


@pytest.mark.parametrize("path", ["https://example.org/song.wav", "HTTP://10.0.0.5/v1/x.mp3"])
async def test_urls_are_not_fetched(api: ApiHarness, path: str) -> None:
    for name in ("src_audio_path", "reference_audio_path"):
        fields = {"task_type": "cover", "src_audio_path": path, name: path}
        problem = problem_of(await api.http.post("/release_task", json=fields), 400, "path_refused")
        assert "URLs are not fetched." in problem["detail"]
        errors = field_errors(await api.submit(**fields), "invalid_audio")
        assert "URLs are not fetched." in errors[name]


@pytest.mark.parametrize("name", ["src_audio", "ctx_audio", "reference_audio"])
async def test_a_url_under_the_name_of_a_file(api: ApiHarness, name: str) -> None:
    for route in ("/release_task", URL):
        fields = {"task_type": "cover", name: "https://example.org/song.wav"}
        problem = problem_of(await api.http.post(route, json=fields), 422, "invalid_value")
        assert "URLs are not fetched." in problem["detail"]


async def test_paths_that_are_no_urls(api: ApiHarness) -> None:
    fields = {"task_type": "cover", "src_audio_path": "/etc/passwd"}
    assert "URL" not in (await api.http.post("/release_task", json=fields)).json()["detail"]


async def test_a_missing_file_of_an_allowed_folder(api: ApiHarness) -> None:
    folder = api.settings.audio_root_dirs[0]
    Path(folder).mkdir(parents=True)
    fields = {"task_type": "cover", "src_audio_path": f"{folder}/no.wav"}
    problem_of(await api.http.post("/release_task", json=fields), 400, "path_refused")


PATHS = ["{}/1.wav", "/v1/audio?path={}/1.wav", "http://music/v1/audio/{}/1.wav",
         "/v1/audio?path={}%2F1.wav"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_a_take_is_covered_by_its_path(api: ApiHarness, path: str) -> None:
    await api.submit()
    path = path.format(await api.succeed([SONG], ext="wav"))
    sent = await release(api, prompt="jazz", task_type="cover", src_audio_path=path)
    assert sent.decode["source"].samples == 16_000 and sent.warnings == ""


async def test_a_take_as_reference(api: ApiHarness) -> None:
    await api.submit()
    path = f"{await api.succeed([SONG], ext='wav')}/1.wav"
    sent = await release(api, prompt="jazz", ref_audio_path=path)
    assert sent.decode["reference"].samples == 16_000 and sent.warnings == ""


@pytest.mark.parametrize("name", ["9.mp3", "1.wav"])
async def test_takes_that_do_not_exist(api: ApiHarness, name: str) -> None:
    await api.submit()
    for job_id in (await api.succeed(), "550e8400-e29b-41d4-a716-446655440000"):
        fields = {"task_type": "cover", "src_audio_path": f"{job_id}/{name}"}
        answer = await api.http.post("/release_task", json=fields)
        assert "does not exist" in problem_of(answer, 400, "path_refused")["detail"]


async def test_who_names_a_take_with_another_extension_learns_the_right_one(
    api: ApiHarness,
) -> None:
    await api.submit()
    job_id = await api.succeed([SONG, SONG], ext="wav")
    fields = {"task_type": "cover", "src_audio_path": f"{job_id}/1.mp3"}
    by_path = problem_of(await api.http.post("/release_task", json=fields), 400, "path_refused")
    for problem in (
        by_path,
        problem_of(await api.http.get(f"/v1/audio?path={job_id}/1.mp3"), 404, "audio_not_found"),
        problem_of(await api.http.get(f"/v1/audio/{job_id}/1.mp3"), 404, "audio_not_found"),
    ):
        assert "it has 1.wav, 2.wav" in problem["detail"]


async def test_a_take_that_is_not_made_yet(api: ApiHarness) -> None:
    job_id = (await api.submit()).json()["job_id"]
    fields = {"task_type": "cover", "src_audio_path": f"/v1/audio?path={job_id}/1.mp3"}
    problem_of(await api.http.post("/release_task", json=fields), 400, "path_refused")


@pytest.mark.parametrize("task", ["text2music", "cover"])
async def test_only_a_take_that_is_used_is_copied(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    copied: list[str] = []
    fetch = Artifacts.fetch

    async def counted(self: Artifacts, key: str, out: Path) -> None:
        copied.append(out.name)
        await fetch(self, key, out)

    monkeypatch.setattr(Artifacts, "fetch", counted)
    await api.submit()
    path = f"{await api.succeed([SONG], ext='wav')}/1.wav"
    await release(api, prompt="jazz", task_type=task, src_audio_path=path)
    assert copied == (["src_audio"] if task == "cover" else [])


async def test_a_file_of_the_form_wins_over_a_path(api: ApiHarness) -> None:
    for task in ("text2music", "cover"):
        fields = {"task_type": task, "prompt": "jazz", "src_audio_path": "/nowhere/x.wav"}
        answer = await api.http.post(
            "/release_task", data=fields, files={"src_audio": ("a.wav", SONG)}
        )
        assert data_of(answer)["status"] == "queued"


async def test_a_file_of_the_server_that_looks_like_a_take(api: ApiHarness) -> None:
    folder = api.settings.audio_root_dirs[0] / "550e8400-e29b-41d4-a716-446655440000"
    folder.mkdir(parents=True)
    (folder / "1.wav").write_bytes(SONG)
    sent = await release(api, task_type="cover", prompt="jazz", src_audio_path=f"{folder}/1.wav")
    assert sent.decode["source"].samples == 16_000
