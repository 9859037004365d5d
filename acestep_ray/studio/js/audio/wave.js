// A waveform: bars on a canvas, drawn once; what was played is a second canvas, cut at the playhead.
import { h } from "../lib/dom.js";
import { bars } from "./peaks.js";

const BAR = 2;
const GAP = 1;

const drawn = new Set();

/** Draws every waveform again: after a change of the theme. */
export const redraw = () => drawn.forEach((wave) => wave.draw());

export class Wave {
  /** `extra`: elements over the bars. */
  constructor(...extra) {
    this.below = h("canvas", { "aria-hidden": "true" });
    this.played = h("canvas", { class: "played", "aria-hidden": "true" });
    this.note = h("p", { class: "note" });
    this.element = h("div", { class: "wave" }, this.below, this.played, this.note, ...extra);
    this.peaks = null;
    this.share = 1;
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    drawn.add(this);
  }

  /** Shows an outline. `share`: of the width, the rest stays empty. */
  show(peaks, share = 1) {
    this.peaks = peaks;
    this.share = share;
    this.note.textContent = "";
    this.draw();
  }

  /** Shows a text instead, with something to do about it if there is anything. */
  say(text, action = null) {
    this.note.replaceChildren(text, ...(action ? [" ", action] : []));
  }

  /** The playhead, 0 to 1. */
  set at(share) {
    this.element.style.setProperty("--at", share.toFixed(5));
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!this.peaks || !width || !this.element.isConnected) return;
    const scale = window.devicePixelRatio || 1;
    const levels = bars(this.peaks, Math.max(1, Math.floor((width * this.share) / (BAR + GAP))));
    for (const canvas of [this.below, this.played]) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      const pen = canvas.getContext("2d");
      pen.scale(scale, scale);
      pen.fillStyle = getComputedStyle(canvas).color;
      pen.beginPath();
      levels.forEach((level, at) => {
        const tall = Math.max(2, level * (height - 6));
        pen.roundRect(at * (BAR + GAP), (height - tall) / 2, BAR, tall, 1);
      });
      pen.fill();
    }
  }

  remove() {
    this.observer.disconnect();
    drawn.delete(this);
    this.element.remove();
  }
}
