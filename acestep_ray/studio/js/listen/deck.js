// The song that is open: how far it is, then its takes.
import { player, position, setTracks, stop } from "../audio/player.js";
import { announce, toast } from "../lib/dialog.js";
import { $, h, icon, setText } from "../lib/dom.js";
import { signal } from "../lib/signal.js";
import { clock, fully, many, remaining } from "../lib/words.js";
import { audioAt } from "../service/base.js";
import { serviceTime } from "../service/api.js";
import { hasEnded, job, onJob, refresh } from "../service/jobs.js";
import { findRecord, record, titleOf } from "../songs/own.js";
import { showView } from "../views.js";
import { cancelJob, pinned, remove, reuse } from "./actions.js";
import { lanes } from "./lanes.js";
import { progressOf } from "./progress.js";

/** The id of the song that is open; empty if none is. */
export const opened = signal("");

const FAILED = {
  cancelled: "It was cancelled.",
  timeout: "It took longer than the service allows.",
  out_of_memory: "The device's memory was not sufficient: try fewer takes or a shorter song.",
};

let shown = ""; // what the deck shows: the id and the state, so that nothing is built twice
let parts = null;
let empty = null;

export function startDeck() {
  empty = $("#deck").firstElementChild;
  onJob((one, before) => {
    if (one.job_id === opened.value) show();
    if (before && !hasEnded(before) && hasEnded(one)) ended(one);
  });
  const frame = () => {
    parts?.tick?.();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  setInterval(() => parts?.wait?.(), 500);
}

/** Shows a song. */
export async function open(id, { quietly = false } = {}) {
  // Whoever opens a song that is ready wants to hear it.
  if (!quietly && id !== opened.value && (!job(id) || hasEnded(job(id)))) stop(position());
  opened.set(id);
  if (!quietly) showView("listen");
  await findRecord(id);
  show();
  const one = job(id);
  const whole = one && hasEnded(one) && (one.status !== "succeeded" || one.result);
  if (!whole) await refresh(id).catch((problem) => toast(problem.message));
}

/** Nothing is open. */
export function closeDeck() {
  opened.set("");
  setTracks([]);
  show();
}

/** A song has ended: it is opened if its maker waits for it, otherwise that is said. */
function ended(one) {
  const mine = record(one.job_id);
  if (!mine || mine.foreign || one.status === "gone") return;
  const good = one.status === "succeeded";
  announce(good ? `${many(one.result?.audio_paths.length ?? 1, "take")} ready: ${titleOf(one.job_id)}` : `Failed: ${titleOf(one.job_id)}`);
  if (one.job_id === opened.value || one.error_code === "cancelled") return;
  const title = titleOf(one.job_id);
  toast(good ? `Ready: ${title.slice(0, 80)}` : `Failed: ${title.slice(0, 80)}`, "Open", () => void open(one.job_id));
}

function show() {
  const id = opened.value;
  const one = id ? (job(id) ?? { job_id: id, status: "loading" }) : null;
  const succeeded = one?.status === "succeeded" && one.result;
  const state = one ? `${id} ${succeeded ? "takes" : hasEnded(one) ? one.status : "waiting"}` : "";
  if (state === shown) {
    parts?.wait?.();
    return;
  }
  shown = state;
  const focused = $("#deck").contains(document.activeElement);
  parts?.remove?.();
  parts = null;
  if (!one) $("#deck").replaceChildren(empty);
  else if (succeeded && playsAnother(id)) ready(one);
  else if (succeeded) takes(one);
  else if (hasEnded(one) && one.status !== "succeeded") failure(one);
  else waiting(one);
  $("#deck").scrollTop = 0;
  if (focused) $("#listen").focus(); // What had it is no longer there.
}

const playsAnother = (id) => player.value.playing && !player.value.tracks.some((one) => one.job_id === id);

/** A song that became ready while another is heard does not interrupt it. */
function ready(one) {
  const listen = h("button", { type: "button", class: "primary", onclick: () => takes(one) }, "Listen");
  $("#deck").replaceChildren(head(one, chipsOf(one)), h("div", { class: "waiting" }, h("p", { class: "stage" }, `${many(one.result.audio_paths.length, "take")} ready`), h("div", { class: "actions" }, listen)));
}

function head(one, ...below) {
  return h("header", { class: "song-head" }, h("h3", { class: "song-title", dir: "auto", title: titleOf(one.job_id) }, titleOf(one.job_id)), ...below);
}

const button = (name, text, act, extra = "") =>
  h("button", { type: "button", class: `quiet ${extra}`, onclick: act }, icon(name), text);

function waiting(one) {
  const stage = h("p", { class: "stage" });
  const detail = h("p", { class: "detail" });
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, h("i"));
  const box = h("div", { class: "waiting" }, stage, bar, detail, h("div", { class: "actions" }, button("close", "Cancel", () => cancelJob(one.job_id), "cancel")));
  const lyrics = record(one.job_id)?.values?.lyrics;
  const words = lyrics && h("div", { class: "facts" }, h("pre", { dir: "auto" }, lyrics));
  $("#deck").replaceChildren(head(one, chipsOf(one)), box, notes(one), words ?? "");
  let said = "";
  const wait = () => {
    const now = job(one.job_id);
    if (!now || hasEnded(now)) return;
    const progress = progressOf(now);
    setText(stage, progress.stage);
    setText(detail, progress.detail || " ");
    bar.toggleAttribute("data-idle", progress.share === null);
    if (progress.share === null) {
      bar.removeAttribute("aria-valuenow");
    } else {
      bar.style.setProperty("--done", progress.share);
      bar.setAttribute("aria-valuenow", String(Math.round(progress.share * 100)));
    }
    if (said !== progress.stage) announce(progress.stage);
    said = progress.stage;
  };
  parts = { wait };
  wait();
}

function failure(one) {
  const gone = one.status === "gone";
  const text = gone
    ? "The service no longer has this song. Its settings are still here."
    : (FAILED[one.error_code] ?? one.error ?? "It failed.");
  const more = !gone && FAILED[one.error_code] && one.error_code !== "cancelled" ? h("p", { class: "hint" }, one.error) : null;
  const known = record(one.job_id)?.values;
  $("#deck").replaceChildren(
    head(one, chipsOf(one)),
    h("div", { class: one.error_code === "cancelled" || gone ? "notice" : "alert" }, text, more),
    h("div", { class: "actions", style: { "margin-top": "14px" } }, known || !gone ? button("settings", "Use its settings", () => reuse(one, false)) : null, button("trash", "Delete", () => removeOpen(one.job_id), "danger")),
    notes(one),
  );
}

function takes(one) {
  const seeds = (one.result.seed_value ?? "").split(",");
  const tracks = one.result.audio_paths.map((path, index) => ({
    job_id: one.job_id,
    job: one,
    take: index + 1,
    name: `Take ${index + 1}`,
    title: titleOf(one.job_id),
    seed: seeds[index],
    url: audioAt(path),
  }));
  const others = [...sourceTrack(one), ...pinned.filter((track) => track.job_id !== one.job_id)];
  setTracks([...tracks, ...others].slice(0, 8));
  const build = lanes();
  const actions = h(
    "div",
    { class: "actions" },
    button("settings", "Use its settings", () => reuse(one, false)),
    button("dice", "Settings and seed", () => reuse(one, true)),
    button("trash", "Delete", () => removeOpen(one.job_id), "danger"),
  );
  $("#deck").replaceChildren(head(one, chipsOf(one), actions), build.element, facts(one));
  parts = { tick: build.tick, remove: build.remove };
  let tracksShown = player.value.tracks;
  const unfollow = player.on(({ tracks: now }) => {
    if (now === tracksShown || opened.value !== one.job_id) return;
    tracksShown = now; // one was removed from the comparison
    build.remove();
    unfollow();
    shown = "";
    rebuild(one);
  });
}

/** Builds the lanes anew for the tracks that the player has, without an interruption. */
function rebuild(one) {
  const build = lanes();
  $("#deck .lanes").replaceWith(build.element);
  shown = `${one.job_id} takes`;
  parts = { tick: build.tick, remove: build.remove };
}

/** The take that a repaint or a cover was made of, to be compared with what became of it. */
function sourceTrack(one) {
  const source = record(one.job_id)?.values?.source;
  const made = source?.job_id && job(source.job_id);
  const path = made?.result?.audio_paths[source.take - 1];
  if (!path) return [];
  return [{ job_id: source.job_id, job: made, take: source.take, compared: true, name: `The source: take ${source.take} of ${source.title}`, title: source.title, url: audioAt(path) }];
}

async function removeOpen(id) {
  if (await remove(id)) closeDeck();
}

/** What the music is, in chips; when and how it was made, in a line. */
function chipsOf(one) {
  const asked = record(one.job_id)?.values ?? {};
  const { bpm, keyscale, timesignature } = known(one.result?.metas ?? {});
  const metre = timesignature ?? asked.time_signature;
  const music = [
    TASKS[one.task_type ?? asked.task_type] ?? one.task_type,
    (bpm ?? asked.bpm) && `${bpm ?? asked.bpm} bpm`,
    keyscale ?? asked.key_scale,
    metre && `${metre}/${metre === "6" ? 8 : 4}`,
    languageName(one.result?.vocal_language ?? asked.vocal_language),
  ];
  const good = one.status === "succeeded";
  const made = [
    one.created_at && fully(one.created_at),
    good && one.finished_at && `made in ${exactly(one.finished_at - (one.started_at ?? one.created_at))}`,
    good && one.expires_at && `kept for ${remaining(one.expires_at - serviceTime())}`,
  ];
  const chips = music.filter(Boolean).map((text) => h("span", { class: "chip" }, text));
  return h("div", { class: "about" }, h("div", { class: "chips" }, chips), h("p", { class: "hint num" }, made.filter(Boolean).join(" · ")));
}

const TASKS = { text2music: "", cover: "Cover", repaint: "Repaint" };
const known = (metas) => Object.fromEntries(Object.entries(metas).filter(([, value]) => value && value !== "N/A"));
const exactly = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : clock(seconds));

const languages = new Intl.DisplayNames([navigator.language, "en"], { type: "language", fallback: "code" });
const languageName = (code) => (code && code !== "unknown" ? languages.of(code) : "");

function notes(one) {
  const warnings = one.warnings ?? [];
  if (!warnings.length) return h("div");
  return h("div", { class: "facts" }, h("details", { open: "" }, h("summary", {}, many(warnings.length, "note")), h("ul", {}, warnings.map((text) => h("li", {}, text)))));
}

function facts(one) {
  const asked = record(one.job_id)?.values ?? {};
  const lyrics = one.result.lm_lyrics ?? asked.lyrics;
  const caption = one.result.lm_caption;
  const part = (name, text) => (text ? h("details", {}, h("summary", {}, name), h("pre", { dir: "auto" }, text)) : null);
  return h("div", { class: "facts" }, part("Lyrics", lyrics), part("Caption as the language model wrote it", caption), part("How it was made", one.result.generation_info), one.warnings?.length ? notes(one).firstChild : null);
}

