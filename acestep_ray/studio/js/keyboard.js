// Keyboard shortcuts of the player, and the dialog that lists them.
import { activate, player, position, seek, setLoop, setRegion } from "./audio/player.js";
import { open } from "./lib/dialog.js";
import { $, h } from "./lib/dom.js";
import * as storage from "./lib/storage.js";
import { playOrPause } from "./listen/transport.js";
import { showView } from "./views.js";

const LIST = [
  ["Space or K", "play, pause"],
  ["1 to 8", "listen to this take, at the same moment"],
  ["↑ ↓", "the take above, the take below"],
  ["← →", "5 seconds back, ahead (with Shift: 1 second)"],
  ["[ ]", "start, end of the marked part"],
  ["L", "repeat the marked part, or all"],
  ["Home", "to the beginning"],
  ["C", "to the caption"],
  ["/", "search songs"],
  ["Ctrl Enter", "create, from anywhere in the form"],
  ["Esc", "from the form to the song that is open, which Space then plays"],
  ["?", "this list"],
];
const TYPING =
  "input:not([type=checkbox], [type=radio], [type=range], [type=file]), textarea, select, [contenteditable]";

let on = storage.read("shortcuts", true);

export function startKeyboard() {
  document.addEventListener("keydown", (event) => {
    if (!on || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest(TYPING) || $("dialog[open]")) return;
    const act = actionOf(event);
    if (!act) return;
    event.preventDefault();
    act();
  });
  $("#help-button").addEventListener("click", help);
  $("#song").addEventListener("keydown", toTheSong);
}

/** From the form to the song, so that the next key plays it. Not while an input method has the key, nor
 * from a list, which Escape closes. */
function toTheSong(event) {
  if (event.key !== "Escape" || event.isComposing || event.defaultPrevented) return;
  if (event.target.matches("select") || $("dialog[open]")) return;
  event.preventDefault();
  showView("listen");
  $("#listen").focus();
}

function actionOf(event) {
  const { tracks, active, loop, region, duration } = player.value;
  const control = event.target.closest("button, a, summary, input, [role=slider]");
  const jump = (seconds) => () => seek(position() + seconds * (event.shiftKey ? 0.2 : 1));
  const anywhere = {
    "?": help,
    c: () => (showView("write"), $("#caption").focus()),
    "/": () => (showView("songs"), $("#search").focus()),
  };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (anywhere[key]) return anywhere[key];
  if (!tracks.length) return null;
  if (/^[1-8]$/.test(key) && tracks[key - 1]) return () => void activate(key - 1);
  const mark = (side) => () => {
    const at = Math.round(position() * 10) / 10;
    const [from, to] = region ?? [0, duration];
    setRegion(side ? [Math.min(from, at - 0.1), at] : [at, to > at ? to : duration]);
  };
  const keys = { k: () => void playOrPause(), l: () => setLoop(!loop), "[": mark(0), "]": mark(1) };
  if (keys[key]) return keys[key];
  if (control) return null; // Space and arrows belong to the control that has the focus.
  return {
    " ": () => void playOrPause(),
    ArrowLeft: jump(-5),
    ArrowRight: jump(5),
    ArrowUp: () => void activate((active + tracks.length - 1) % tracks.length),
    ArrowDown: () => void activate((active + 1) % tracks.length),
    Home: () => seek(0),
  }[key];
}

function help() {
  const rows = LIST.map(([keys, text]) =>
    h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, keys)), h("td", {}, text)),
  );
  const box = h("input", { type: "checkbox" });
  box.checked = on;
  box.addEventListener("change", () => {
    on = box.checked;
    storage.write("shortcuts", on);
  });
  open(
    "Keyboard shortcuts",
    h(
      "div",
      { class: "stack" },
      h("table", {}, h("tbody", {}, rows)),
      h(
        "label",
        { class: "check" },
        box,
        h("span", {}, "Single keys are shortcuts, outside text fields"),
      ),
    ),
  );
}
