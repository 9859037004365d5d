// The history: one's own songs, or all that the service has.
import { $, $$, h, setText, throttle } from "../lib/dom.js";
import * as storage from "../lib/storage.js";
import { opened } from "../listen/deck.js";
import { locked } from "../service/api.js";
import { link } from "../service/follow.js";
import { hasEnded, job, known, list, onJob } from "../service/jobs.js";
import { askForKey } from "../service_status.js";
import { badge } from "../views.js";
import { onOwn, ownIds, record, titleOf } from "./own.js";
import { rowOf } from "./row.js";

const PAGE = 100;
const rows = new Map(); // id -> {element, update}
let ending;
let scope = storage.read("scope", "mine");
let cursor = null;
let reading = false;
let oldest = Infinity; // epoch seconds: how far back the service's list was read
let complete = false;
let failed = "";

export function startSongs() {
  for (const one of $$("#scope input")) {
    one.checked = one.value === scope;
    one.addEventListener("change", () => setScope(one.value));
  }
  $("#search").addEventListener("input", () => {
    show();
    if (scope === "all" && wanted()) void readAll();
  });
  opened.on((id) =>
    rows.forEach((row, one) => row.element.toggleAttribute("data-open", one === id)),
  );
  onOwn(show);
  for (const state of [link, locked]) state.on(() => rows.forEach((row) => row.update()));
  onJob((one, before) => {
    rows.get(one.job_id)?.update();
    if (!before || before.status !== one.status) show();
  });
  ending = new IntersectionObserver(
    (entries) => entries.some((one) => one.isIntersecting) && scope === "all" && void readPage(),
    { root: $("#songs-scroll"), rootMargin: "600px" },
  );
  ending.observe($("#songs-end"));
  $("#song-list").addEventListener("keydown", onKey);
  show();
}

/** Reads the newest songs of the service: their states are those of one's own, too. */
export async function readNewest() {
  cursor = null;
  complete = false;
  oldest = Infinity;
  await readPage();
}

function setScope(next) {
  scope = next;
  storage.write("scope", scope);
  show();
  if (scope === "all" && oldest === Infinity) void readPage();
}

async function readPage() {
  if (reading || complete) return;
  reading = true;
  failed = "";
  try {
    const page = await list(cursor ? { limit: PAGE, cursor } : { limit: PAGE });
    for (const id of page.ids) oldest = Math.min(oldest, job(id).created_at);
    cursor = page.cursor;
    complete = !cursor;
  } catch (problem) {
    failed = problem.message;
  }
  reading = false;
  show();
  if (failed || complete) return;
  // The observer reports changes only: the end may have been in view since before this page was read.
  ending.unobserve($("#songs-end"));
  ending.observe($("#songs-end"));
}

/** A search looks through everything. */
async function readAll() {
  while (!complete && !failed && wanted()) await readPage();
}

const wanted = () => $("#search").value.trim().toLocaleLowerCase();

/** All songs that the service has, as far back as its list was read; newest first. */
function everything() {
  const there = known().filter(
    (one) => one.status !== "gone" && (complete || one.created_at >= oldest),
  );
  return there.sort((a, b) => b.created_at - a.created_at).map((one) => one.job_id);
}

function ids() {
  const all = scope === "mine" ? ownIds().filter((id) => !record(id)?.foreign) : everything();
  const words = wanted().split(/\s+/).filter(Boolean);
  if (!words.length) return all;
  return all.filter((id) => {
    const text = `${titleOf(id)} ${record(id)?.values?.lyrics ?? ""}`.toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  });
}

const show = throttle(() => {
  const found = ids();
  const place = $("#song-list");
  const present = new Set(found);
  for (const [id, row] of rows) {
    if (present.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  let next = place.firstElementChild;
  for (const id of found) {
    if (!rows.has(id)) rows.set(id, rowOf(id));
    const row = rows.get(id);
    if (row.element === next) next = next.nextElementSibling;
    else place.insertBefore(row.element, next);
  }
  end(found.length);
  badge("songs", ownIds().filter((id) => job(id) && !hasEnded(job(id))).length);
}, 100);

function end(count) {
  const element = $("#songs-end");
  if (failed) {
    const [text, act] = locked.value
      ? ["Enter the key", () => askForKey()]
      : ["Try again", () => void readPage()];
    element.replaceChildren(
      failed,
      h("br"),
      h("button", { type: "button", class: "quiet", onclick: act }, text),
    );
  } else if (reading) setText(element, "Reading");
  else if (count) setText(element, scope === "all" && !complete ? "" : "That is all.");
  else if (wanted()) setText(element, "No song has these words.");
  else if (scope === "all") setText(element, "The service has no songs yet.");
  else if (everything().length) {
    element.replaceChildren(
      "Songs that you make in this browser are listed here. The service has others.",
      h("br"),
      h(
        "button",
        { type: "button", class: "quiet", onclick: () => $("#scope input[value=all]").click() },
        "Show all",
      ),
    );
  } else setText(element, "Songs that you make are listed here.");
}

/** Up and down lead from song to song. */
function onKey(event) {
  const row = event.target.closest(".song");
  const next = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling }[
    event.key
  ];
  if (!next) return;
  event.preventDefault();
  $("button", next).focus();
}
