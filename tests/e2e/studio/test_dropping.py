"""Files that are dragged with the mouse from outside the browser, onto a place and beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Locator, expect

from tests.e2e.studio.studio_page import StudioPage

RATE = 48_000


@pytest.fixture
def song(tmp_path: Path) -> Path:
    file = tmp_path / "from my desktop.wav"
    soundfile.write(file, np.sin(np.arange(11 * RATE) / 40) / 2, RATE, subtype="PCM_16")
    return file


def drop(studio: StudioPage, place: Locator, *files: Path, leave: bool = False) -> None:
    """Drag files over a place, as the browser gets it from the window system, and let them go; or
    with ``leave``, out of the window."""
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data: dict[str, Any] = {
        "items": [],
        "files": [str(file) for file in files],
        "dragOperationsMask": 1,
    }
    devtools = studio.page.context.new_cdp_session(studio.page)
    for kind in ("dragEnter", "dragOver"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})
    last = {"type": "dragOver", "x": -5, "y": -5} if leave else {"type": "drop", **at}
    devtools.send("Input.dispatchDragEvent", {"data": data, **last})
    devtools.detach()


def test_a_file_is_dropped_on_its_place(studio: StudioPage, song: Path) -> None:
    page = studio.page
    studio.task("Repaint")
    drop(studio, page.locator("#source .drop"), song)
    expect(page.locator("#source .name")).to_have_text("from my desktop.wav")
    expect(page.get_by_role("slider", name="End of the part")).to_be_visible()
    assert not page.locator("#source").evaluate("one => one.hasAttribute('data-over')")


def test_a_file_beside_its_place_does_not_replace_the_page(studio: StudioPage, song: Path) -> None:
    page = studio.page
    studio.fill(caption="my words")
    studio.task("Cover")
    for place in ("#lyrics", "#deck", "header.top"):
        drop(studio, page.locator(place), song)
        expect(page.locator("#source .name")).to_have_text("from my desktop.wav")
        page.get_by_role("button", name="Remove from my desktop.wav").click()
    assert page.url == f"{studio.url}/"
    assert page.locator("#caption").input_value() == "my words"


def test_a_new_song_becomes_a_cover_of_a_file_or_uses_it_as_its_reference(
    studio: StudioPage, song: Path
) -> None:
    page = studio.page
    drop(studio, page.locator("#deck"), song)
    expect(page.get_by_role("radio", name="Cover", exact=True)).to_be_checked()
    expect(page.locator("#source .name")).to_have_text("from my desktop.wav")
    page.get_by_role("button", name="Use it as the reference").click()
    expect(page.get_by_role("radio", name="New song")).to_be_checked()
    expect(page.locator("#reference .name")).to_have_text("from my desktop.wav")


def test_a_drag_that_is_given_up_leaves_no_trace(studio: StudioPage, song: Path) -> None:
    page = studio.page
    studio.task("Cover")
    drop(studio, page.locator("#source .drop"), song, leave=True)
    expect(page.locator("[data-over], [data-dragged]")).to_have_count(0)


def test_a_folder_is_refused(studio: StudioPage, tmp_path: Path) -> None:
    folder = tmp_path / "album"
    folder.mkdir()
    studio.task("Cover")
    drop(studio, studio.page.locator("#source .drop"), folder)
    expect(studio.page.locator("#src_audio-error")).to_contain_text("Is it a folder")


@pytest.mark.parametrize(("content", "kind"), [(b"my notes\n" * 99, "a text"), (b"", "empty")])
def test_a_dropped_file_that_is_refused_leaves_a_new_song_as_it_is(
    studio: StudioPage, tmp_path: Path, content: bytes, kind: str
) -> None:
    file = tmp_path / "notes.wav"
    file.write_bytes(content)
    page = studio.page
    drop(studio, page.locator("#deck"), file)
    toasts = page.locator("#toasts .toast")
    expect(toasts).to_contain_text(f"“notes.wav” is {kind}. Choose an audio file.")
    expect(toasts).to_have_count(1)
    expect(page.get_by_role("radio", name="New song")).to_be_checked()
    studio.task("Cover")
    drop(studio, page.locator("#deck"), file)
    error = page.locator("#src_audio-error")
    expect(error).to_have_text(f"“notes.wav” is {kind}. Choose an audio file.")
    studio.create()
    expect(page.locator("#src_audio")).to_be_focused()
    expect(error).to_have_text(f"“notes.wav” is {kind}. Choose an audio file.")
