// A part of a song between two times: marked by dragging over a waveform, by dragging the two ends,
// or with the arrow keys.
import { h } from "../lib/dom.js";
import { clock, exactClock } from "../lib/words.js";

const STEP = 0.1;
const BIG_STEP = 1;
const SHORTEST = 0.1;
const DRAG_PIXELS = 4;
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 240];
const MOST_TICKS = 8;
const TICK_PIXELS = 52; // from one time to the next, so that there is a gap between them

/** A ruler with the two ends. `names`: what they are called. `onchange(from, to)` is called with
 * seconds whenever the user moves one; `null, null` if nothing is marked. */
export class Range {
  constructor(names, onchange) {
    this.onchange = onchange;
    this.length = 0;
    this.from = this.to = null;
    this.thumbs = names.map((name, side) => this.#thumb(name, side));
    this.band = h("div", { class: "band" });
    this.element = h("div", { class: "ruler" }, this.band, this.thumbs);
    this.waves = [];
    // How many times there is room for is known when it is shown, and changes with its width.
    new ResizeObserver(() => this.#tick()).observe(this.element);
    this.element.addEventListener("pointerdown", (event) => {
      if (!this.thumbs.includes(event.target)) this.drag(event, this.element);
    });
  }

  /** The length of the axis, seconds. */
  set axis(length) {
    this.length = length;
    this.#tick();
    this.#place();
  }

  #tick() {
    const { length } = this;
    if (!length) return;
    const most = Math.min(MOST_TICKS, (this.element.clientWidth || Infinity) / TICK_PIXELS);
    const step = TICKS.find((one) => length / one <= most) ?? TICKS.at(-1);
    const shown = `${length} ${step}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const ticks = [];
    for (let at = 0; at < length - step / 3; at += step) {
      ticks.push(
        h("span", { class: "tick", style: { left: `${(100 * at) / length}%` } }, clock(at)),
      );
    }
    this.element.querySelectorAll(".tick").forEach((one) => one.remove());
    this.band.after(...ticks);
  }

  /** Marks from one time to another; null, null: nothing. Calls no listener. */
  set(from, to) {
    this.from = from;
    this.to = to;
    this.#place();
  }

  /** Shows the mark over a waveform, too. */
  over(wave) {
    wave.element.append(h("div", { class: "band" }));
    this.waves.push(wave.element);
    this.#place();
  }

  /** Follows a pointer that went down on `surface`: a drag marks, a click calls `onclick(seconds)`. */
  drag(event, surface, onclick = null) {
    if (event.button || !this.length) return;
    const box = surface.getBoundingClientRect();
    const timeAt = (x) => this.length * Math.min(1, Math.max(0, (x - box.left) / box.width));
    const start = timeAt(event.clientX);
    let moved = false;
    const move = (next) => {
      if (!moved && Math.abs(next.clientX - event.clientX) < DRAG_PIXELS) return;
      if (!moved) surface.setPointerCapture(event.pointerId);
      moved = true;
      const now = timeAt(next.clientX);
      if (Math.abs(now - start) >= SHORTEST)
        this.#moved(Math.min(start, now), Math.max(start, now));
    };
    const end = (last) => {
      surface.removeEventListener("pointermove", move);
      surface.removeEventListener("pointerup", end);
      surface.removeEventListener("pointercancel", end);
      if (!moved && last.type === "pointerup") onclick?.(start);
    };
    surface.addEventListener("pointermove", move);
    surface.addEventListener("pointerup", end);
    surface.addEventListener("pointercancel", end);
  }

  #thumb(name, side) {
    const thumb = h("div", {
      class: "thumb",
      role: "slider",
      tabindex: "0",
      "aria-label": name,
      "aria-valuemin": "0",
      hidden: true,
    });
    thumb.addEventListener("keydown", (event) => this.#key(event, side));
    thumb.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      thumb.focus();
      thumb.setPointerCapture(event.pointerId);
      const box = this.element.getBoundingClientRect();
      const move = (next) => this.#end(side, (this.length * (next.clientX - box.left)) / box.width);
      thumb.addEventListener("pointermove", move);
      thumb.addEventListener(
        "lostpointercapture",
        () => thumb.removeEventListener("pointermove", move),
        { once: true },
      );
    });
    return thumb;
  }

  #key(event, side) {
    const now = side ? this.to : this.from;
    const step = event.shiftKey ? BIG_STEP : STEP;
    const next = {
      ArrowLeft: now - step,
      ArrowDown: now - step,
      ArrowRight: now + step,
      ArrowUp: now + step,
      PageDown: now - 5,
      PageUp: now + 5,
      Home: 0,
      End: this.length,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.#end(side, next);
  }

  #end(side, time) {
    const at = Math.round(time * 10) / 10;
    if (side) this.#moved(this.from, Math.min(this.length, Math.max(at, this.from + SHORTEST)));
    else this.#moved(Math.max(0, Math.min(at, this.to - SHORTEST)), this.to);
  }

  #moved(from, to) {
    this.set(Math.round(from * 100) / 100, Math.round(to * 100) / 100);
    this.onchange(this.from, this.to);
  }

  #place() {
    const marked = this.from !== null && this.length > 0;
    for (const element of [this.element, ...this.waves]) {
      element.style.setProperty("--from", marked ? Math.max(0, this.from) / this.length : 0);
      element.style.setProperty("--to", marked ? Math.min(this.length, this.to) / this.length : 0);
    }
    this.thumbs.forEach((thumb, side) => {
      const time = side ? this.to : this.from;
      thumb.hidden = !marked;
      if (!marked) return;
      thumb.style.left = `${(100 * Math.min(this.length, Math.max(0, time))) / this.length}%`;
      thumb.setAttribute("aria-valuemax", this.length.toFixed(1));
      thumb.setAttribute("aria-valuenow", time.toFixed(1));
      thumb.setAttribute("aria-valuetext", exactClock(time));
    });
  }
}
