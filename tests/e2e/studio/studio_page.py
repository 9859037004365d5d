"""The Studio in a browser, as the people who use it: by what they read, click, type and hear."""

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.service import until

DESKTOP = {"width": 1440, "height": 900}
PATIENCE_MS = 30_000
"""How long a test waits for what it expects on a page: test machines are slow."""
PHONE = {"width": 390, "height": 844}
LISTEN = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to === this.context.destination && to instanceof AudioDestinationNode) {
    window.heard = this.context.createAnalyser();
    window.heard.fftSize = 16384;
    connect.call(this, window.heard);
  }
  return connect.call(this, to, ...rest);
};
"""
"""Makes what goes to the loudspeakers readable, before the page's own scripts run."""
_HEARD = """() => {
  const samples = new Float32Array(window.heard.fftSize);
  window.heard.getFloatTimeDomainData(samples);
  const at = Number(document.querySelector("#transport").dataset.position);
  return [at, btoa(String.fromCharCode(...new Uint8Array(samples.buffer)))];
}"""
"""The samples as text, because Playwright is slow with long lists."""


@dataclass
class StudioPage:
    """``errors``: what the browser reported, such as exceptions and what the page's
    Content-Security-Policy has refused. Requests that fail are not in it: some tests take the
    service away."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser: Browser, url: str, **context: Any) -> Self:
        """A new visitor's page; ``context``: options of the browser's context."""
        page = browser.new_context(**{"viewport": DESKTOP, **context}).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(LISTEN)
        studio = cls(page, url)
        page.on("pageerror", lambda error: studio.errors.append(str(error)))
        page.on("console", studio._logged)
        studio.load()
        return studio

    def load(self) -> None:
        """Open the page, or load it again."""
        self.page.goto(f"{self.url}/")
        # The modules come after the first paint; until then the page does nothing.
        expect(self.page.locator("#summary")).not_to_be_empty(timeout=PATIENCE_MS)

    def tab(self) -> "StudioPage":
        """Another tab of the same visitor."""
        page = self.page.context.new_page()
        page.add_init_script(LISTEN)
        other = StudioPage(page, self.url)
        page.on("pageerror", lambda error: other.errors.append(str(error)))
        page.on("console", other._logged)
        other.load()
        return other

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def close(self) -> None:
        """Close the visitor's browser. Fails if the browser reported an error."""
        if not self.page.is_closed():
            self.page.unroute_all(behavior="ignoreErrors")  # a test's own answer may be under way
        self.page.context.close()
        assert self.errors == []

    def fill(self, **fields: str) -> None:
        """Write into fields of the form, by their names; those of the advanced part, too."""
        self.page.evaluate("document.querySelector('#advanced').open = true")
        for name, text in fields.items():
            place = self.page.locator(f"#song [name={name}]")
            if place.evaluate("one => one.tagName") == "SELECT":
                place.select_option(text)
            else:
                place.fill(text)

    def task(self, name: str) -> None:
        """Choose what to make, such as Cover."""
        self.page.get_by_role("radio", name=name, exact=True).check()

    def create(self) -> None:
        """Press Create."""
        self.page.get_by_role("button", name="Create", exact=True).click()

    def song(self, caption: str, seconds: int = 12, **fields: str) -> None:
        """Make a song from a caption, and wait for its takes."""
        self.fill(caption=caption, audio_duration=str(seconds), **fields)
        self.create()
        self.until_takes(caption)

    def until_takes(self, title: str) -> None:
        """Wait until the takes of the song of this title are on the deck, with waveforms."""
        heading = self.page.locator("#deck .song-title")
        until(lambda: heading.is_visible() and heading.text_content() == title, f"no {title!r}")
        self.until_drawn()

    def until_drawn(self) -> None:
        """Wait until every take on the deck has its waveform."""
        lanes = self.page.locator("#deck .lane")
        until(lambda: lanes.count() and lanes.first.is_visible(), "there are no takes")
        notes = self.page.locator("#deck .lane .note")
        until(lambda: not any(notes.all_text_contents()), "a waveform was not drawn")

    def lane(self, take: int) -> Locator:
        """A take on the deck, from 1."""
        return self.page.locator(f"#deck .lane[data-take='{take}']")

    @property
    def position(self) -> float:
        """Where the playhead is, seconds."""
        return float(self.page.locator("#transport").get_attribute("data-position") or "nan")

    def until_plays(self) -> None:
        """Wait until the playhead moves and something is to be heard."""
        at = self.position
        until(lambda: self.position > at + 0.3, "the playhead stands still")
        until(lambda: np.abs(self.heard()[1]).max() > 0.01, "nothing is to be heard")

    def heard(self) -> tuple[float, NDArray[np.float32]]:
        """The playhead, and what went to the loudspeakers during the third of a second
        before, as one channel at 48 kHz."""
        at, samples = self.page.evaluate(_HEARD)
        return at, np.frombuffer(b64decode(samples), dtype=np.float32)

    def jobs(self) -> list[dict[str, Any]]:
        """The service's jobs, newest first, in whole."""
        answer = self.page.request.get(f"{self.url}/v1/jobs?full=true")
        jobs: list[dict[str, Any]] = answer.json()["jobs"]
        return jobs

    def until_another(self, earlier: str) -> None:
        """Wait until a job has succeeded that is newer than this one; the service also has those
        of other tests."""
        until(lambda: self.jobs()[0]["job_id"] != earlier, "no other song")
        until(lambda: self.jobs()[0]["status"] == "succeeded", "it was not made")

    def audio(self, path: str) -> bytes:
        """A take's file."""
        return self.page.request.get(self.url + path).body()
