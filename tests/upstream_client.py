"""What every client of upstream's API does: submit, poll, download, decode."""

import io
import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.service import until

RATE = 48_000


class UpstreamClient:
    """A client with the headers that it sends with every request, and the base that it puts before
    every path."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.http = httpx.Client(timeout=60, headers=headers, max_redirects=4)

    def get(self, path: str, **params: str) -> Any:
        """The ``data`` of a good response."""
        return data_of(self.http.get(self.url + path, params=params or None))

    def post(self, path: str, body: object) -> Any:
        """The ``data`` of a good response to JSON."""
        return data_of(self.http.post(self.url + path, json=body))

    def release(self, body: object) -> str:
        """Send a task as JSON; returns its id."""
        task_id: str = self.post("/release_task", body)["task_id"]
        return task_id

    def state(self, task_id: str) -> tuple[int, list[dict[str, Any]]]:
        """The status of a task, and its items, as one poll returns them."""
        (state,) = self.post("/query_result", {"task_id_list": [task_id]})
        assert state["task_id"] == task_id
        return state["status"], json.loads(state["result"])

    def takes(self, task_id: str) -> list[dict[str, Any]]:
        """Poll to success; returns an item per take."""
        return takes_by(lambda: self.state(task_id))

    def audio(self, take: Mapping[str, Any]) -> NDArray[np.float32]:
        """Download a take, put together its URL as clients do, and decode it."""
        assert take["file"].startswith("/v1/"), "some take no other URL"
        answer = self.http.get(self.url + take["file"], follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return decoded(answer.content, take["file"].rpartition(".")[2])


def data_of(answer: httpx.Response) -> Any:
    """The ``data`` of a good response. Some clients look at the code in the body, too."""
    assert answer.status_code == 200, answer.text
    envelope = answer.json()
    assert (envelope["code"], envelope["error"]) == (200, None), envelope
    return envelope["data"]


def takes_by(poll: Callable[[], tuple[int, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """Poll until the task has succeeded; ``poll`` returns its status and items."""

    def ended() -> list[dict[str, Any]] | None:
        status, items = poll()
        assert status in (0, 1) and all(item["status"] == status for item in items), items
        return items if status else None

    takes: list[dict[str, Any]] = until(ended, "the task did not end")
    return takes


def decoded(file: bytes, extension: str) -> NDArray[np.float32]:
    """The samples of a file, [samples, 2] at 48 kHz; it holds sound."""
    if extension == "m4a":  # which libsndfile does not read
        command = ["ffmpeg", "-v", "error", "-i", "-", "-f", "wav", "-"]
        file = subprocess.run(command, input=file, check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    assert (rate, samples.shape[1]) == (RATE, 2)
    assert np.abs(samples).max() > 0.01, "there is no sound"
    return np.asarray(samples, np.float32)
