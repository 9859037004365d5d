// What can be made of a take: more like it, a part of it anew, a cover, a continuation.
import { player, position } from "../audio/player.js";
import { toast } from "../lib/dialog.js";
import { $, h, icon } from "../lib/dom.js";
import { filesOf, record, titleOf } from "../songs/own.js";
import { showView } from "../views.js";
import { beyond } from "../write/audio_input.js";
import { fill, values } from "../write/form.js";
import { make } from "../write/submit.js";
import { download, likeButton, pinButton, unpin } from "./keeping.js";

const REPAINT_SECONDS = 10;

/** The buttons of a take. */
export function toolsOf(track) {
  if (track.compared) return [download(track), tool("close", "Remove", () => unpin(track))];
  return [
    tool("more", "More like this", () => moreLike(track)),
    tool("brush", "Repaint here", () => repaint(track)),
    tool("cover", "Cover this", () => cover(track)),
    tool("continue", "Continue", () => goOn(track)),
    likeButton(track),
    pinButton(track),
    download(track),
  ];
}

const tool = (name, text, act) =>
  h(
    "button",
    { type: "button", title: text, data: { act: name }, onclick: act },
    icon(name),
    h("span", {}, text),
  );

/** What the take was made of, for the form: as it was asked for, if it was asked for here. */
function madeOf(track) {
  const asked = record(track.job_id)?.values;
  const { job } = track;
  const written = { caption: job.result?.lm_caption, lyrics: job.result?.lm_lyrics };
  const given = asked ?? { caption: job.caption ?? "" };
  const texts = Object.entries(written).filter(([, text]) => text);
  return { ...given, mode: "write", ...Object.fromEntries(texts), seed: "" };
}

const takeOf = (track) => ({
  job_id: track.job_id,
  take: track.take,
  title: titleOf(track.job_id),
});

/** The same again with a new seed; a new song has the take as its reference, too. */
function moreLike(track) {
  const asked = { ...madeOf(track), task_type: madeOf(track).task_type ?? "text2music" };
  const missing = lostFile(track.job_id);
  if (missing) {
    toForm(asked, missing, "#src_audio");
    return;
  }
  const files = filesOf(track.job_id);
  const own = asked.task_type === "text2music" && !asked.reference && !files.reference_audio;
  const again = own ? { ...asked, reference: takeOf(track) } : asked;
  void make(again, files, `More like take ${track.take}: the same settings, another seed.`);
}

/** That a file which a song was made of has to be chosen again; empty if it is still there. */
function lostFile(id) {
  const { files = {}, task_type: task } = record(id)?.values ?? {};
  const lost = Object.keys(files).filter(
    (name) => files[name] && !filesOf(id)[name] && !(name === "src_audio" && task === "text2music"),
  );
  return lost.length
    ? `Choose ${lost.map((name) => files[name]).join(" and ")} again: the browser does not keep files.`
    : "";
}

function toForm(next, message, focus) {
  fill({ ...values(), ...next });
  showView("write");
  $(focus).focus();
  toast(message);
}

/** The window is the marked part, or some seconds from the playhead on. */
function repaint(track) {
  const { region } = player.value;
  const length = track.duration ?? 0;
  const at = Math.max(0, Math.min(position(), length - REPAINT_SECONDS));
  const [from, to] = region ?? [at, at + REPAINT_SECONDS];
  const window = {
    repainting_start: from.toFixed(1),
    repainting_end: Math.min(to, length || to).toFixed(1),
  };
  toForm(
    { ...madeOf(track), task_type: "repaint", source: takeOf(track), reference: null, ...window },
    region ? "The marked part will be made anew." : "Mark the part that is made anew.",
    "#repainting_start",
  );
}

function goOn(track) {
  const [from, to] = beyond(track.duration ?? 0);
  const window = { repainting_start: from, repainting_end: to };
  toForm(
    { ...madeOf(track), task_type: "repaint", source: takeOf(track), reference: null, ...window },
    "It will go on. Its last seconds, where it ended, are made anew.",
    "#repainting_end",
  );
}

function cover(track) {
  toForm(
    { ...madeOf(track), task_type: "cover", source: takeOf(track), reference: null },
    "Say what the cover should sound like.",
    "#caption",
  );
}

/** Fills the form with what a song was made of. With `seed`, the same song comes out. */
export function reuse(job, seed) {
  const asked = record(job.job_id)?.values;
  const track = { job_id: job.job_id, job };
  const next = asked ? { ...asked } : madeOf(track);
  next.seed = seed ? (job.result?.seed_value ?? "") : "";
  if (seed && job.result) next.batch_size = String(job.result.audio_paths.length);
  fill(next);
  showView("write");
  $("#create").focus();
  const missing = asked ? "" : " It was not made in this browser: only its caption is known here.";
  toast(`The form has its settings${seed ? " and seed" : ""}.${missing} ${lostFile(job.job_id)}`);
}
