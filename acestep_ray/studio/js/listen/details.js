// What is told of a song: its title, what the music is, when it was made, its words, what was noticed.
import { h, icon } from "../lib/dom.js";
import { clock, fully, many, remaining } from "../lib/words.js";
import { serviceTime } from "../service/api.js";
import { record, titleOf } from "../songs/own.js";
import { taskWords } from "../songs/task.js";
import { inPageWords } from "../write/errors.js";
import { howMade } from "./making.js";

/** The title, and what stands below it. */
export function head(one, ...below) {
  return h(
    "header",
    { class: "song-head" },
    h("h3", { class: "song-title", dir: "auto", title: titleOf(one.job_id) }, titleOf(one.job_id)),
    ...below,
  );
}

/** A button with a symbol. */
export const button = (name, text, act, extra = "") =>
  h("button", { type: "button", class: `quiet ${extra}`, onclick: act }, icon(name), text);

/** What the music is, in chips; when and how it was made, in a line. */
export function chipsOf(one) {
  const asked = record(one.job_id)?.values ?? {};
  const { bpm, keyscale, timesignature } = known(one.result?.metas ?? {});
  const metre = timesignature ?? asked.time_signature;
  const music = [
    taskWords(one.job_id),
    (bpm ?? asked.bpm) && `${bpm ?? asked.bpm} bpm`,
    keyscale ?? asked.key_scale,
    metre && `${metre}/${metre === "6" ? 8 : 4}`,
    isSung(one.result?.lm_lyrics ?? asked.lyrics) &&
      languageName(one.result?.vocal_language ?? asked.vocal_language),
  ];
  const good = one.status === "succeeded";
  const made = [
    one.created_at && fully(one.created_at),
    good &&
      one.finished_at &&
      `made in ${exactly(one.finished_at - (one.started_at ?? one.created_at))}`,
    good && one.expires_at && `kept for ${remaining(one.expires_at - serviceTime())}`,
  ];
  const chips = music.filter(Boolean).map((text) => h("span", { class: "chip" }, text));
  return h(
    "div",
    { class: "about" },
    h("div", { class: "chips" }, chips),
    h("p", { class: "hint num" }, made.filter(Boolean).join(" · ")),
  );
}

/** Whether lyrics have words, and not only section tags. */
const isSung = (lyrics) => /\p{L}/u.test((lyrics ?? "").replace(/\[[^\]\n]*\]/g, ""));

const known = (metas) =>
  Object.fromEntries(Object.entries(metas).filter(([, value]) => value && value !== "N/A"));
const exactly = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : clock(seconds));

const languages = new Intl.DisplayNames([navigator.language, "en"], {
  type: "language",
  fallback: "code",
});
const languageName = (code) => (code && code !== "unknown" ? languages.of(code) : "");

/** What was not used of the request, and what came up while the song was made. */
export function notes(one) {
  const warnings = one.warnings ?? [];
  if (!warnings.length) return h("div");
  return h(
    "div",
    { class: "facts" },
    h(
      "details",
      { open: "" },
      h("summary", {}, many(warnings.length, "note")),
      h(
        "ul",
        {},
        warnings.map((text) => h("li", {}, inPageWords(text))),
      ),
    ),
  );
}

/** Words, captions and notes, to be opened. */
export function facts(one) {
  const asked = record(one.job_id)?.values ?? {};
  const lyrics = one.result.lm_lyrics ?? asked.lyrics;
  const caption = one.result.lm_caption;
  const part = (name, text) =>
    text ? h("details", {}, h("summary", {}, name), h("pre", { dir: "auto" }, text)) : null;
  return h(
    "div",
    { class: "facts" },
    part("Lyrics", lyrics),
    part("Caption as the language model wrote it", caption),
    howMade(one),
    one.warnings?.length ? notes(one).firstChild : null,
  );
}
