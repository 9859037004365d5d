"""Where audio and jobs are kept: whether it can be written, and whether it lasts."""

import shutil
from pathlib import Path

import pytest

from acestep_ray.startup.doctor import storage
from tests.s3 import S3Server
from tests.unit.startup.doctor.conftest import Doctor

READ_ONLY = "/sys"
"""Nobody can make files there, not even root."""


def test_a_new_folder_is_well_and_is_not_made(doctor: Doctor) -> None:
    assert doctor.well("storage").startswith("audio can be written in file:///")
    assert "GB free for the data folder" in doctor.well("disks")
    assert doctor.well("job store").endswith("will be made at the first start")
    assert not (doctor.folder / "data").exists()


def test_a_folder_that_is_used_is_left_as_it_was(doctor: Doctor) -> None:
    data = doctor.folder / "data"
    (data / "artifacts").mkdir(parents=True)
    before = (data / "artifacts").stat().st_ino
    assert doctor.well("storage")
    assert list(data.iterdir()) == [data / "artifacts"]
    assert list((data / "artifacts").iterdir()) == []
    assert (data / "artifacts").stat().st_ino == before


def test_a_read_only_folder_is_a_problem(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACESTEP_DATA", f"{READ_ONLY}/acestep")
    message = doctor.problem("storage")
    assert "Permission denied" in message and "ACESTEP_DATA" in message
    message = doctor.problem("job store")
    assert f"{READ_ONLY}/acestep/jobs.sqlite" in message and "let this user write there" in message


def test_a_bucket_is_written_read_and_left_as_it_was(
    doctor: Doctor, s3: S3Server, s3_url: str
) -> None:
    before = s3.stored()
    doctor.args["artifacts"] = s3_url
    assert s3_url in doctor.well("storage")
    assert s3.stored() == before


def test_wrong_credentials_are_a_problem_and_never_shown(
    doctor: Doctor, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor.args["artifacts"] = s3_url
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something wrong")
    message = doctor.problem("storage")
    assert "SignatureDoesNotMatch" in message and "something wrong" not in message


def test_a_store_that_is_away_is_a_problem(
    doctor: Doctor, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor.args["artifacts"] = s3_url
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "cannot be reached" in doctor.problem("storage")


def test_folders_of_clients_that_are_not_there_are_a_warning(doctor: Doctor) -> None:
    doctor.args["audio_roots"] = ["/nowhere"]
    assert "ACESTEP_AUDIO_ROOTS names /nowhere" in doctor.warning("storage")


def test_a_disk_that_is_nearly_full_is_a_warning(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5_000_000))
    (message,) = {r.message for r in doctor.check("disks") if "only 5 MB are free" in r.message}
    assert "for the data folder" in message and "ACESTEP_JOBS__KEEP" in message


def test_a_data_folder_in_memory_is_a_warning(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACESTEP_DATA", "/dev/shm/acestep")
    messages = [found.message for found in doctor.check("disks")]
    assert any("is in memory (tmpfs)" in message for message in messages)


def test_sqlite_on_a_disk_of_another_machine_is_a_warning(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "file_system", lambda _: "nfs4")
    messages = [found.message for found in doctor.check("disks")]
    assert any("where SQLite may lose jobs" in message for message in messages)
    monkeypatch.setenv("ACESTEP_STORE", "redis://localhost:6379/1")
    messages = [found.message for found in doctor.check("disks")]
    assert not any("SQLite" in message for message in messages)


def test_the_kind_of_a_file_system_is_that_of_its_nearest_mount() -> None:
    assert storage.file_system(Path("/proc/self")) == "proc"
    assert storage.file_system(Path("/dev/shm")) == "tmpfs"


def test_clients_that_are_sent_to_this_machine_are_a_warning(
    doctor: Doctor, s3: S3Server, s3_url: str
) -> None:
    doctor.args |= {"artifacts": s3_url, "downloads": "redirect"}
    assert f"clients are sent to {s3.url} for audio" in doctor.warning("storage")
