// A place for audio: a file that is dropped or chosen, or a take of another song; with its waveform
// and, for a source that is repainted, the part that is made anew.
import { decode, load } from "../audio/buffers.js";
import { noSound, READ } from "../audio/kind.js";
import { peaksOf } from "../audio/peaks.js";
import { Range } from "../audio/range.js";
import { Wave } from "../audio/wave.js";
import { $, h, icon, sr } from "../lib/dom.js";
import { clock } from "../lib/words.js";
import { about } from "../service/about.js";
import { audioAt } from "../service/base.js";
import { job, refresh } from "../service/jobs.js";
import { clearError, fieldError } from "./errors.js";

const MORE_SECONDS = 30;
const ENDING_SECONDS = 3;
const MB = 1e6;

/** The window that continues a song of this length, as text for the fields. It begins before the
 * end: most songs fade out there, and the service wants it to begin within the source. */
export const beyond = (length) => [
  Math.max(0, length - Math.min(ENDING_SECONDS, length / 4)).toFixed(1),
  (length + MORE_SECONDS).toFixed(1),
];

/** Whether files are dragged, and not a text or a link. */
export const hasFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

class Refused extends Error {}

const unreadable = (file) => `“${file.name}” cannot be read. Is it a folder, or was it moved?`;

function tooLarge(file) {
  const most = about.value.models?.limits.upload_bytes;
  if (!most || file.size <= most) return "";
  return `This file has ${Math.round(file.size / MB)} MB; the service reads up to ${Math.round(most / MB)} MB.`;
}

/** Why a file is refused before it is sent; empty if it may be sound. */
export async function whyRefused(file) {
  if (tooLarge(file)) return tooLarge(file);
  try {
    const kind = noSound(await file.slice(0, READ).arrayBuffer());
    return kind ? `“${file.name}” is ${kind}. Choose an audio file.` : "";
  } catch {
    return unreadable(file);
  }
}

/** The bytes of a file that may be sound. Throws Refused. */
async function bytesOf(file) {
  const why = await whyRefused(file);
  if (why) throw new Refused(why);
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Refused(unreadable(file));
  }
}

export class AudioInput {
  /** `name`: of the file's field. `options.window`: whether a part of it can be marked. */
  constructor(root, name, options, onchange) {
    Object.assign(this, { root, name, onchange, file: null, take: null, duration: 0, refused: "" });
    this.drop = $(".drop", root);
    this.chosen = $(".chosen", root);
    this.box = $(".wave-box", root);
    this.wave = new Wave(h("div", { class: "beyond" }));
    this.input = $(`#${name}`);
    this.input.addEventListener(
      "change",
      () => this.input.files[0] && this.setFile(this.input.files[0]),
    );
    this.#dropping();
    if (options.window) this.#window();
    this.box.append(this.wave.element);
  }

  setFile(file) {
    clearError(this.name);
    if (tooLarge(file)) {
      this.input.value = "";
      this.#refuse(tooLarge(file));
      return;
    }
    this.clear(false);
    this.file = file;
    this.#shown(file.name, async () => {
      const buffer = await decode(await bytesOf(file));
      return { peaks: peaksOf(buffer), duration: buffer.duration };
    });
    this.onchange();
  }

  /** Uses {job_id, take, title}, or with null nothing. */
  setTake(take) {
    const same =
      take && this.take && take.job_id === this.take.job_id && take.take === this.take.take;
    if (same || (!take && !this.take)) return;
    this.clear(false);
    this.take = take;
    if (!take) return;
    clearError(this.name);
    this.#shown(`Take ${take.take} of ${take.title}`, async () => {
      const one = job(take.job_id)?.result ? job(take.job_id) : await refresh(take.job_id);
      const path = one.result?.audio_paths[take.take - 1];
      if (!path) throw new Error("The service no longer has this take.");
      return load(audioAt(path));
    });
  }

  clear(tell = true) {
    Object.assign(this, { file: null, take: null, duration: 0, refused: "" });
    this.input.value = "";
    this.drop.hidden = false;
    this.chosen.hidden = this.box.hidden = true;
    this.wave.peaks = null;
    if (tell) {
      for (const name of this.ends ?? []) name.value = "";
      this.onchange();
    }
  }

  #refuse(text) {
    if (!this.file && !this.take) this.refused = text;
    fieldError(this.name, text);
  }

  /** Says again why the last file was refused, as long as there is no other. */
  sayRefused() {
    if (this.refused) fieldError(this.name, this.refused);
  }

  async #shown(name, read) {
    const remove = h(
      "button",
      { type: "button", class: "tool", onclick: () => this.clear() },
      icon("close"),
      sr(`Remove ${name}`),
    );
    const length = h("span", { class: "hint num" });
    this.chosen.replaceChildren(
      icon("wave"),
      h("span", { class: "name", dir: "auto", title: name }, name),
      length,
      remove,
    );
    this.drop.hidden = true;
    this.chosen.hidden = this.box.hidden = false;
    this.wave.say("Reading");
    const used = [this.file, this.take];
    const current = () => this.file === used[0] && this.take === used[1];
    try {
      const { peaks, duration } = await read();
      if (!current()) return;
      this.duration = duration;
      length.textContent = clock(duration);
      this.peaks = peaks;
      this.place();
      this.onchange();
    } catch (error) {
      if (!current()) return;
      if (error instanceof Refused) {
        this.clear();
        this.#refuse(error.message);
      } else {
        const more = this.file ? " The service may read it nevertheless." : "";
        this.wave.say(error.message + more);
      }
    }
  }

  #dropping() {
    const over = (is) => this.root.toggleAttribute("data-over", is);
    this.root.addEventListener("dragover", (event) => hasFiles(event) && over(true));
    this.root.addEventListener("dragleave", (event) => {
      if (!this.root.contains(event.relatedTarget)) over(false);
    });
    this.root.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      over(false);
      const [file] = event.dataTransfer.files;
      if (file) this.setFile(file);
    });
  }

  // The part that is made anew

  #window() {
    this.ends = [$("#repainting_start"), $("#repainting_end")];
    this.range = new Range(["Start of the part", "End of the part"], (from, to) => {
      this.ends[0].value = String(from);
      this.ends[1].value = String(to);
      this.ends.forEach((one) => one.dispatchEvent(new Event("input", { bubbles: true })));
    });
    this.range.over(this.wave);
    this.wave.element.addEventListener(
      "pointerdown",
      (event) => this.windowed && this.range.drag(event, this.wave.element),
    );
    const more = () => this.mark(...beyond(this.duration));
    this.tools = h(
      "div",
      { class: "row" },
      h(
        "button",
        { type: "button", class: "quiet", onclick: () => this.mark("0", this.duration.toFixed(1)) },
        "All of it",
      ),
      h(
        "button",
        { type: "button", class: "quiet", onclick: more },
        `Continue by ${MORE_SECONDS} s`,
      ),
    );
    this.box.append(this.range.element);
    this.box.after(this.tools);
    this.ends.forEach((one) => one.addEventListener("input", () => this.place()));
  }

  /** Marks a part, by texts for the fields. */
  mark(from, to) {
    [this.ends[0].value, this.ends[1].value] = [from, to];
    this.ends[1].dispatchEvent(new Event("input", { bubbles: true }));
  }

  showWindow(windowed) {
    this.windowed = windowed;
    if (!this.range) return;
    this.range.element.hidden = !windowed;
    this.tools.hidden = !windowed || !this.duration;
    this.place();
  }

  /** Draws the source, and the part of which the fields hold the ends. */
  place() {
    if (!this.duration || !this.peaks) return;
    if (!this.range || !this.windowed) {
      this.wave.show(this.peaks);
      this.range?.set(null, null);
      return;
    }
    const [from, to] = this.ends.map((one) => (one.value === "" ? null : Number(one.value)));
    const end = to === null || to < 0 ? this.duration : to;
    const axis = Math.max(this.duration, end);
    if (axis !== this.range.length) this.range.axis = axis;
    this.wave.show(this.peaks, this.duration / axis);
    $(".beyond", this.wave.element).style.width = `${100 * (1 - this.duration / axis)}%`;
    this.range.set(from ?? 0, end);
    this.tools.hidden = false;
  }
}
