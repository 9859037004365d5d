// What can be made of a take: more like it, a part of it anew, a cover, a continuation; and how it is
// kept.
import { updateTracks, player } from "../audio/player.js";
import { confirm, toast } from "../lib/dialog.js";
import { $, h, icon, sr } from "../lib/dom.js";
import { fileName } from "../lib/words.js";
import { Problem, send } from "../service/api.js";
import { cancel, removeJob } from "../service/jobs.js";
import { key } from "../service/key.js";
import { filesOf, forget, isLiked, like, record, titleOf } from "../songs/own.js";
import { showView } from "../views.js";
import { beyond } from "../write/audio_input.js";
import { fill, values } from "../write/form.js";
import { make } from "../write/submit.js";

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
  h("button", { type: "button", title: text, data: { act: name }, onclick: act }, icon(name), h("span", {}, text));

function likeButton(track) {
  const button = h("button", { type: "button", title: "Like this take", "aria-pressed": String(isLiked(track.job_id, track.take)) }, icon("heart"), sr(`Like ${track.name}`));
  button.addEventListener("click", () => {
    like(track.job_id, track.take);
    button.setAttribute("aria-pressed", String(isLiked(track.job_id, track.take)));
  });
  return button;
}

/** Takes that stay on the deck when another song is opened. */
export const pinned = [];

function pinButton(track) {
  const isPinned = () => pinned.some((one) => one.url.href === track.url.href);
  const button = h("button", { type: "button", title: "Keep it on the deck, to compare it with other songs", "aria-pressed": String(isPinned()) }, icon("pin"), sr(`Compare ${track.name} with other songs`));
  button.addEventListener("click", () => {
    if (isPinned()) unpin(track);
    else pinned.push({ ...track, compared: true, name: `${titleOf(track.job_id)}, take ${track.take}` });
    button.setAttribute("aria-pressed", String(isPinned()));
    if (isPinned()) toast(`Take ${track.take} stays here when you open another song.`);
  });
  return button;
}

function unpin(track) {
  const at = pinned.findIndex((one) => one.url.href === track.url.href);
  if (at >= 0) pinned.splice(at, 1);
  if (track.compared) updateTracks(player.value.tracks.filter((one) => one !== track));
}

function download(track) {
  const name = `${fileName(titleOf(track.job_id))}-${track.take}.${track.url.pathname.split(".").pop()}`;
  const link = h("a", { href: track.url.href, download: name, title: "Download" }, icon("download"), sr(`Download ${track.name}`));
  link.addEventListener("click", async (event) => {
    if (!key.value || link.dataset.ready) return;
    event.preventDefault(); // A link cannot send the key.
    try {
      const blob = await (await send(track.url)).blob();
      link.href = URL.createObjectURL(blob);
      link.dataset.ready = "true";
      link.click();
    } catch (problem) {
      toast(problem.message);
    }
  });
  return link;
}

/** What the take was made of, for the form: as it was asked for, if it was asked for here. */
function madeOf(track) {
  const asked = record(track.job_id)?.values;
  const { job } = track;
  const written = { caption: job.result?.lm_caption, lyrics: job.result?.lm_lyrics };
  const given = asked ?? { caption: job.caption ?? "" };
  const texts = Object.entries(written).filter(([, text]) => text);
  return { ...given, mode: "write", ...Object.fromEntries(texts), seed: "" };
}

const takeOf = (track) => ({ job_id: track.job_id, take: track.take, title: titleOf(track.job_id) });

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
  const lost = Object.keys(files).filter((name) => files[name] && !filesOf(id)[name] && !(name === "src_audio" && task === "text2music"));
  return lost.length ? `Choose ${lost.map((name) => files[name]).join(" and ")} again: the browser does not keep files.` : "";
}

function toForm(next, message, focus) {
  fill({ ...values(), ...next });
  showView("write");
  $(focus).focus();
  toast(message);
}

/** The window is the marked part, or some seconds after the playhead. */
function repaint(track) {
  const { region } = player.value;
  const length = track.duration ?? 0;
  const [from, to] = region ?? [0, Math.min(length, REPAINT_SECONDS)];
  const window = { repainting_start: from.toFixed(1), repainting_end: Math.min(to, length || to).toFixed(1) };
  toForm({ ...madeOf(track), task_type: "repaint", source: takeOf(track), reference: null, ...window }, region ? "The marked part will be made anew." : "Mark the part that is made anew.", "#repainting_start");
}

function goOn(track) {
  const [from, to] = beyond(track.duration ?? 0);
  const window = { repainting_start: from, repainting_end: to };
  toForm({ ...madeOf(track), task_type: "repaint", source: takeOf(track), reference: null, ...window }, "It will go on. Its last seconds, where it ended, are made anew.", "#repainting_end");
}

function cover(track) {
  toForm({ ...madeOf(track), task_type: "cover", source: takeOf(track), reference: null }, "Say what the cover should sound like.", "#caption");
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

export async function cancelJob(id) {
  try {
    await cancel(id);
  } catch (problem) {
    toast(problem.message);
  }
}

/** Removes a song from the service, and from the history of this browser. */
export async function remove(id) {
  const yes = await confirm("Delete this song?", "Its takes are removed from the service, and from the list. This cannot be undone.", "Delete");
  if (!yes) return false;
  try {
    await removeJob(id);
  } catch (problem) {
    if (!(problem instanceof Problem) || ![404, 410].includes(problem.status)) {
      toast(problem.message);
      return false;
    }
  }
  await forget(id);
  return true;
}
