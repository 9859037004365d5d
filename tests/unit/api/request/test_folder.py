"""A request without files leaves the disk alone: it is accepted where no folder can be made."""

import tempfile
from pathlib import Path

import pytest

from acestep_ray.api.request.folder import request_folder
from tests.unit.api.harness import URL, ApiHarness


async def test_only_files_need_a_folder(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "there is no such folder"))
    song = {"caption": "jazz"}
    assert (await api.http.post(URL, json=song)).status_code == 200
    assert (await api.http.post(URL, data=song)).status_code == 200
    polled = await api.http.post("/query_result", json={"task_id_list": ["x"]})
    assert polled.status_code == 200
    refused = await api.http.post(URL, data=song, files={"src_audio": ("a.wav", b"RIFF")})
    assert refused.status_code == 503
    assert refused.json()["code"] == "storage_unavailable"


def test_the_folder_is_removed_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with request_folder() as folder:
        assert not list(tmp_path.iterdir())
        (folder / "a").write_bytes(b"a")
        assert (folder / "a").parent == (folder / "b").parent
    assert not list(tmp_path.iterdir())
