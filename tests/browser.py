"""Debian's Chromium, without a window, and the pages that it opens."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from playwright.sync_api import Browser, Frame, Page, sync_playwright

PROGRAMS = ("chromium", "google-chrome")
NONE = (
    "These tests need a browser, chromium or google-chrome, and there is none. On Debian: "
    "sudo apt-get install chromium (scripts/install_tools.sh does that, if root runs it)."
)
FOREIGN = "*.example"
"""Hosts that the browser finds on this machine."""


_running: list[Browser] = []


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Audio plays without a click, and silently. Fails if there is no browser.

    A process has one at a time, because Playwright allows no second: the inner of two blocks uses
    that of the outer one.
    """
    if _running:
        yield _running[0]
        return
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    assert program, NONE
    options = (
        f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1",
        "--autoplay-policy=no-user-gesture-required",
        "--mute-audio",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        _running.append(browser)
        try:
            yield browser
        finally:
            _running.remove(browser)
            browser.close()


@contextmanager
def page_server() -> Iterator[int]:
    """A server of empty pages on a port of loopback; yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_FETCH = """async ([url, options]) => {
    let answer;
    try { answer = await fetch(url, options); } catch (error) { return {error: error.name}; }
    return {
        type: answer.type, status: answer.status, text: await answer.text(),
        headers: Object.fromEntries(answer.headers),
    };
}"""
_FORM = """async ([url, fields]) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("src_audio", new Blob(["RIFF"], {type: "audio/wav"}), "source.wav");
    const answer = await fetch(url, {method: "POST", body: form});
    return {status: answer.status, text: await answer.text()};
}"""
_SUBMIT = """url => {
    const frame = document.createElement("iframe");
    frame.name = "answer";
    const form = document.createElement("form");
    Object.assign(form, {action: url, method: "post", target: "answer"});
    const field = document.createElement("input");
    Object.assign(field, {name: "prompt", value: "jazz"});
    form.append(field);
    document.body.append(frame, form);
    form.submit();
}"""
_AUDIO = """async ([url, options]) => {
    const audio = document.createElement("audio");
    audio.crossOrigin = "anonymous";
    audio.src = options ? URL.createObjectURL(await (await fetch(url, options)).blob()) : url;
    document.body.append(audio);
    try { await audio.play(); } catch (error) { return error.name; }
    return "";
}"""


@dataclass(frozen=True)
class Answer:
    """What a page could read of a response. ``error``: why there was none, else empty."""

    error: str = ""
    type: str = ""
    status: int = 0
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)


def fetch(page: Page | Frame, url: str, **options: object) -> Answer:
    """The page calls fetch(url, options)."""
    return Answer(**page.evaluate(_FETCH, [url, options]))


def post(page: Page | Frame, url: str, body: object, **headers: str) -> Answer:
    """The page posts JSON."""
    headers = {"Content-Type": "application/json", **headers}
    return fetch(page, url, method="POST", headers=headers, body=json.dumps(body))


def post_form(page: Page | Frame, url: str, fields: Mapping[str, str]) -> Answer:
    """The page posts a multipart form, with a file src_audio that is no audio."""
    return Answer(**page.evaluate(_FORM, [url, dict(fields)]))


def submit_form(page: Page | Frame, url: str) -> None:
    """A form of the page is submitted, into a frame of its own."""
    page.evaluate(_SUBMIT, url)


def play(page: Page | Frame, url: str, **options: object) -> str:
    """An <audio> element of the page plays it; returns the name of the error, or "". With
    ``options``, the page fetches the whole file with these options before."""
    error: str = page.evaluate(_AUDIO, [url, options or None])
    return error


def plays(page: Page | Frame, after: float = 0.0) -> bool:
    """Whether the element has played some of what comes ``after`` that second."""
    now: float = page.evaluate("document.querySelector('audio').currentTime")
    return after + 0.2 < now


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # http.server calls it
        body = b"<!doctype html><title>a page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
