"""On a phone, with a finger and without keys."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect

from tests.e2e.studio.conftest import OpenStudio
from tests.e2e.studio.studio_page import DESKTOP, PHONE, StudioPage
from tests.one_process import OneProcess

COVERED = """() => {
  const controls = document.querySelectorAll("button, input, select, textarea, a, summary");
  const toasts = document.querySelector("#toasts");
  const hit = (one) => {
    const box = one.getBoundingClientRect();
    return document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  };
  const others = [...controls].filter((one) => !toasts.contains(one));
  const over = others.filter((one) => toasts.contains(hit(one)));
  for (const toast of toasts.children) toast.style.pointerEvents = "none";
  const covered = over.filter((one) => one.contains(hit(one)));
  for (const toast of toasts.children) toast.style.pointerEvents = "";
  return covered.map((one) => one.outerHTML.slice(0, 80));
}"""
"""The controls that a click in their middle would not meet, because a message is there."""


def on_a_phone(visit: OpenStudio, url: str) -> StudioPage:
    return visit(url, viewport=PHONE, has_touch=True, is_mobile=True)


@pytest.mark.parametrize(
    "device",
    [{"viewport": PHONE, "has_touch": True, "is_mobile": True}, {"viewport": DESKTOP}],
    ids=["phone", "desktop"],
)
def test_a_message_covers_no_control_and_goes_when_it_is_dismissed(
    visit: OpenStudio, mock: OneProcess, device: dict[str, Any]
) -> None:
    studio = visit(mock.url, **device)
    page = studio.page
    studio.song("messages", 10, batch_size="1")
    studio.lane(1).locator("[data-act=brush]").click()
    toast = page.locator("#toasts .toast")
    expect(toast).to_contain_text("Mark the part")
    assert page.evaluate(COVERED) == []
    for task in ("Cover", "New song"):
        page.get_by_role("radio", name=task, exact=True).check()
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_have_count(0)


def test_hints_about_keys_are_for_those_who_have_keys(visit: OpenStudio, mock: OneProcess) -> None:
    studio = on_a_phone(visit, mock.url)
    studio.song("by finger", 10, batch_size="1")
    expect(studio.page.locator("#deck .region")).to_be_visible()
    assert "press [" not in studio.page.locator("#deck .region").inner_text()
    expect(studio.page.locator("#help-button")).to_be_hidden()
    desktop = visit(mock.url)
    desktop.song("by key", 10, batch_size="1")
    assert "press [" in desktop.page.locator("#deck .region").inner_text()
    expect(desktop.page.locator("#help-button")).to_be_visible()


def test_a_percentage_stays_on_one_line(visit: OpenStudio, mock: OneProcess) -> None:
    studio = on_a_phone(visit, mock.url)
    studio.task("Cover")
    share = studio.page.locator(".slide output")
    expect(share).to_have_text("100 %")
    box = share.bounding_box()
    assert box and box["height"] < 26


def test_the_times_above_a_short_song_do_not_run_into_each_other(
    visit: OpenStudio, mock: OneProcess, tmp_path: Path
) -> None:
    file = tmp_path / "short.wav"
    soundfile.write(file, np.sin(np.arange(8 * 48_000) / 40) / 2, 48_000)
    studio = on_a_phone(visit, mock.url)
    page = studio.page
    studio.task("Repaint")
    page.locator("#src_audio").set_input_files(file)
    ticks = page.locator("#source .tick")
    expect(ticks).to_have_text(["0:00", "0:02", "0:04", "0:06"])
    boxes = [box for one in ticks.all() if (box := one.bounding_box())]
    gaps = [after["x"] - before["x"] - before["width"] for before, after in pairwise(boxes)]
    assert min(gaps) >= 4
    page.set_viewport_size({"width": 800, "height": 844})
    expect(ticks).to_have_count(8)


def test_the_buttons_of_a_question_keep_away_from_its_text(
    visit: OpenStudio, mock: OneProcess
) -> None:
    studio = on_a_phone(visit, mock.url)
    page = studio.page
    studio.song("to be deleted", 10, batch_size="1")
    page.locator("#deck").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this song?")
    text = dialog.locator("p").bounding_box()
    button = dialog.get_by_role("button", name="Delete").bounding_box()
    assert text and button and button["y"] - text["y"] - text["height"] >= 12
    dialog.get_by_role("button", name="No").click()
