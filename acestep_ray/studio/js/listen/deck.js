// The song that is open: while it is made, then its takes.
import { player, position, setTracks, stop } from "../audio/player.js";
import { announce, toast } from "../lib/dialog.js";
import { $, h } from "../lib/dom.js";
import { signal } from "../lib/signal.js";
import { many } from "../lib/words.js";
import { audioAt } from "../service/base.js";
import { hasEnded, job, onJob, refresh } from "../service/jobs.js";
import { findRecord, record, titleOf } from "../songs/own.js";
import { partOf } from "../songs/task.js";
import { showView } from "../views.js";
import { isWriting } from "../write/form.js";
import { reuse } from "./actions.js";
import { button, chipsOf, facts, head, notes } from "./details.js";
import { remove } from "./ending.js";
import { pinned } from "./keeping.js";
import { lanes } from "./lanes.js";
import { ready, waiting } from "./waiting.js";

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
  const found = await findRecord(id);
  const source = found?.values?.source?.job_id;
  if (source && !job(source)?.result) await refresh(source).catch(() => {}); // to compare with it
  show();
  const one = job(id);
  const whole = one && hasEnded(one) && (one.status !== "succeeded" || one.result);
  if (!whole) await refresh(id).catch((problem) => toast(problem.message));
}

/** Nothing is open. */
function closeDeck() {
  opened.set("");
  setTracks([]);
  show();
}

/** A song has ended: it is opened if its maker waits for it, otherwise that is said. */
function ended(one) {
  const mine = record(one.job_id);
  if (!mine || mine.foreign || one.status === "gone") return;
  const good = one.status === "succeeded";
  const there = one.job_id === opened.value && isWriting() ? ". Escape leads to it." : "";
  announce(
    good
      ? `${many(one.result?.audio_paths.length ?? 1, "take")} ready: ${titleOf(one.job_id)}${there}`
      : `Failed: ${titleOf(one.job_id)}`,
  );
  if (one.job_id === opened.value || one.error_code === "cancelled") return;
  const title = titleOf(one.job_id);
  toast(
    good ? `Ready: ${title.slice(0, 80)}` : `Failed: ${title.slice(0, 80)}`,
    "Open",
    () => void open(one.job_id),
  );
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
  else if (succeeded && playsAnother(id)) ready(one, () => takes(one));
  else if (succeeded) takes(one);
  else if (hasEnded(one) && one.status !== "succeeded") failure(one);
  else parts = { wait: waiting(one) };
  $("#deck").scrollTop = 0;
  if (focused) $("#listen").focus(); // What had it is no longer there.
}

const playsAnother = (id) =>
  player.value.playing && !player.value.tracks.some((one) => one.job_id === id);

function failure(one) {
  const gone = one.status === "gone";
  const text = gone
    ? "The service no longer has this song. Its settings are still here."
    : (FAILED[one.error_code] ?? one.error ?? "It failed.");
  const more =
    !gone && FAILED[one.error_code] && one.error_code !== "cancelled"
      ? h("p", { class: "hint" }, one.error)
      : null;
  const known = record(one.job_id)?.values;
  $("#deck").replaceChildren(
    head(one, chipsOf(one)),
    h("div", { class: one.error_code === "cancelled" || gone ? "notice" : "alert" }, text, more),
    h(
      "div",
      { class: "actions", style: { "margin-top": "14px" } },
      known || !gone ? button("settings", "Use its settings", () => reuse(one, false)) : null,
      button("trash", "Delete", () => removeOpen(one.job_id), "danger"),
    ),
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
    part: partOf(one.job_id),
  }));
  const others = [...sourceTrack(one), ...pinned.filter((track) => track.job_id !== one.job_id)];
  setTracks([...tracks, ...others].slice(0, 8));
  const actions = h(
    "div",
    { class: "actions" },
    button("settings", "Use its settings", () => reuse(one, false)),
    button("dice", "Settings and seed", () => reuse(one, true)),
    button("trash", "Delete", () => removeOpen(one.job_id), "danger"),
  );
  const place = h("div");
  $("#deck").replaceChildren(head(one, chipsOf(one), actions), place, facts(one));
  compare(place);
}

/** Shows the tracks that the player has; again, without an interruption, if these change. */
function compare(place) {
  const { tracks } = player.value;
  const build = lanes();
  place.replaceChildren(build.element);
  const unfollow = player.on((now) => {
    if (now.tracks === tracks) return;
    parts?.remove();
    compare(place);
  });
  const remove = () => {
    unfollow();
    build.remove();
  };
  parts = { tick: build.tick, remove };
}

/** The take that a repaint or a cover was made of, to be compared with what became of it. */
function sourceTrack(one) {
  const source = record(one.job_id)?.values?.source;
  const made = source?.job_id && job(source.job_id);
  const path = made?.result?.audio_paths[source.take - 1];
  if (!path) return [];
  return [
    {
      job_id: source.job_id,
      job: made,
      take: source.take,
      compared: true,
      name: `The source: take ${source.take} of ${source.title}`,
      title: source.title,
      url: audioAt(path),
    },
  ];
}

async function removeOpen(id) {
  if (await remove(id)) closeDeck();
}
