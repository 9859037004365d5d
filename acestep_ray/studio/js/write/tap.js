// The tempo, tapped.
import { $ } from "../lib/dom.js";
import { form } from "./form.js";

const PAUSE_MS = 2500;
const [SLOWEST, FASTEST] = [30, 300];
let taps = [];

export function startTap() {
  $("#tap").addEventListener("click", () => {
    const now = performance.now();
    taps = taps.length && now - taps.at(-1) < PAUSE_MS ? [...taps, now].slice(-9) : [now];
    if (taps.length < 3) return;
    const bpm = Math.round((60000 * (taps.length - 1)) / (now - taps[0]));
    $("#bpm").value = Math.min(FASTEST, Math.max(SLOWEST, bpm));
    form().dispatchEvent(new Event("input"));
  });
}
