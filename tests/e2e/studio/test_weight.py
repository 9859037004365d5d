"""How much the page weighs, how fast it is there, and how it holds a long history."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from acestep_ray.decoder.protocol import DecodeParameters
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.operations import Cancel, Submit
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.settings import Settings
from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.studio_page import StudioPage
from tests.one_process import one_process
from tests.service import until
from tests.unit.jobs.local_client import LocalClient

MOST_BYTES = 150_000
SONGS = 1000
WEIGHT = """() => {
  const files = performance.getEntriesByType("resource");
  const ours = files.filter((one) => one.name.includes("/studio/"));
  const page = [...performance.getEntriesByType("navigation"), ...ours];
  const sum = (name) => page.reduce((total, one) => total + one[name], 0);
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return [page.length, sum("encodedBodySize"), sum("decodedBodySize"), paint.startTime];
}"""
PAINTED = "performance.getEntriesByName('first-contentful-paint').length > 0"
SCROLL = """async () => {
  const list = document.querySelector("#songs-scroll");
  const times = [];
  list.scrollTop = 0;
  for (let step = 0, before = performance.now(); step < 90; step++) {
    list.scrollTop += 400;
    if (list.scrollTop + list.clientHeight >= list.scrollHeight - 1) list.scrollTop = 0;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    times.push(now - before);
    before = now;
  }
  return times;
}"""


def test_the_page_is_small_and_soon_there(
    studio: StudioPage, capsys: pytest.CaptureFixture[str]
) -> None:
    expect(studio.page.locator("#service-text")).to_contain_text("Mock engines")
    until(lambda: studio.page.evaluate(PAINTED), "nothing was painted")
    files, sent, unpacked, paint = studio.page.evaluate(WEIGHT)
    studio.page.reload()
    until(lambda: studio.page.evaluate(PAINTED), "nothing was painted")
    again = studio.page.evaluate(WEIGHT)[3]
    with capsys.disabled():
        print(f"\nThe Studio: {files} files, {sent:,} bytes ({unpacked:,} unpacked)")  # noqa: T201
        print(f"first paint after {paint:.0f} ms, again after {again:.0f} ms")  # noqa: T201
    assert files > 40, "all files were counted"
    assert sent < MOST_BYTES


async def store_songs(settings: Settings, count: int) -> None:
    """Songs that were cancelled, as an earlier run of the service left them."""
    coordinator = JobCoordinator(lambda: SqliteStore(settings.data / "jobs.sqlite"), settings)
    await coordinator.open()
    client = LocalClient(coordinator)
    for number in range(count):
        caption = f"song number {number}, a title that is long enough to need a second line"
        decode = DecodeParameters(caption=caption, seeds=(1, 2), steps=8, guidance_scale=7)
        job_id = str(uuid4())
        spec = JobSpec(decode=decode).model_dump_json()
        await client.apply(Submit(job_id=job_id, spec=spec, needs_plan=False))
        await client.apply(Cancel(job_id))
    await coordinator.close()


def test_a_thousand_songs_scroll_smoothly(
    visit: OpenStudio, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Playwright has an event loop of its own in this thread.
    work = store_songs(Settings(data=tmp_path), SONGS)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
    with one_process(data=tmp_path) as service:
        studio = visit(service.url)
        page = studio.page
        page.get_by_role("radio", name="All here").check()
        rows = page.locator("#song-list .song")
        expect(rows.first).to_contain_text(f"song number {SONGS - 1}")
        few = rows.count()
        assert few < 300, "not everything is asked for at once"
        short = page.evaluate(SCROLL)

        def all_there() -> bool:
            page.evaluate("document.querySelector('#songs-end').scrollIntoView()")
            return rows.count() == SONGS

        until(all_there, "the list has no end")
        long = page.evaluate(SCROLL)
        with capsys.disabled():
            found = f"{median(long):.0f} ms with {SONGS} songs, {median(short):.0f} with {few}"
            print(f"\nA frame of a history that is scrolled: {found}")  # noqa: T201
        # As compared with a short list in the same run, because test machines are slow.
        assert median(long) < 2 * max(17, median(short))
        titles = page.locator("#song-list .song-name").all_text_contents()
        numbers = [int(title.split()[2].rstrip(",")) for title in titles]
        assert numbers == list(reversed(range(SONGS)))
        page.get_by_label("Search songs").fill("999,")
        expect(rows).to_have_count(1)
        page.context.close()
