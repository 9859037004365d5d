"""How long a song takes is said before it is sent, as far as the service has measured it."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.studio.conftest import OpenStudio
from tests.one_process import one_process

SECONDS = """async (asked) => {
  const link = document.querySelector("link[href$='service/estimate.js']").href;
  const { estimate } = await import(link);
  return estimate(asked);
}"""


def test_a_time_stands_beside_create_once_a_song_was_measured(
    visit: OpenStudio, tmp_path: Path
) -> None:
    with one_process(data=tmp_path, mock={"step_seconds": 0.2}) as service:
        studio = visit(service.url)
        page = studio.page
        summary = page.locator("#summary")
        expect(page.locator("#service-text")).to_contain_text("Mock engines")
        studio.fill(audio_duration="60")
        expect(summary).to_contain_text("2 takes")
        expect(summary).not_to_contain_text("to make")
        assert page.request.get(f"{service.url}/v1/stats").json()["work_per_second"] is None
        studio.song("measured", 60)
        stats = page.request.get(f"{service.url}/v1/stats").json()
        assert stats["work_per_second"] > 0 and stats["plan_seconds"] > 0
        expect(summary).to_have_text(re.compile("(about .*|a few seconds) to make$"))
        asked = {
            **{"task_type": "text2music", "mode": "write", "use_5hz_lm": False},
            **{"audio_duration": "60", "batch_size": "1"},
        }
        one = page.evaluate(SECONDS, asked)["all"]
        assert one > 0
        for more in ({"batch_size": "4"}, {"audio_duration": "240"}, {"inference_steps": "32"}):
            assert abs(page.evaluate(SECONDS, asked | more)["all"] / one - 4) < 0.01, more
        planned = page.evaluate(SECONDS, asked | {"use_5hz_lm": True})["all"]
        assert abs(planned - one - stats["plan_seconds"]) < 0.5
        # The language model chooses the length: then there is a figure for a minute only.
        page.get_by_role("checkbox", name="Plan with the language model").check()
        studio.fill(audio_duration="")
        expect(summary).to_contain_text("to make for each minute of music")
        page.context.close()


def test_a_song_that_waits_has_no_time_before_one_was_measured(
    visit: OpenStudio, tmp_path: Path
) -> None:
    with one_process(data=tmp_path, mock={"step_seconds": 0.4}) as service:
        studio = visit(service.url)
        page = studio.page
        page.get_by_role("checkbox", name="Plan with the language model").uncheck()
        for number in range(6):
            studio.fill(caption=f"song {number}", audio_duration="10")
            studio.create()
            expect(page.locator("#deck .song-title")).to_have_text(f"song {number}")
        expect(page.locator("#deck .stage")).to_have_text(re.compile("before it|Next in"))
        assert "ready in" not in (page.locator("#deck .detail").text_content() or "")
        expect(page.locator("#deck .detail")).to_contain_text("ready in")  # the first is ready
        page.context.close()
