// Keeps the jobs up to date: by one stream of events for the whole page; by asking again and again
// where streams do not get through; and rarely, while nobody sees the page.
import { throttle } from "../lib/dom.js";
import { signal } from "../lib/signal.js";
import { locked, Problem, send } from "./api.js";
import { hasEnded, job, known, list, put, refresh } from "./jobs.js";
import { key } from "./key.js";
import { eventsOf } from "./sse.js";

/** "connecting", "live", "polling", "lost" (trying again) or "locked" (a key is needed). */
export const link = signal("connecting");

const FIRST_EVENT_MS = 8000; // a proxy that holds a stream back does so from its first byte
const SILENCE_MS = 60000; // the service sends a heartbeat every 15 s
const HIDDEN_MS = 60000;
const POLL_MS = 2000;
const HIDDEN_POLL_MS = 15000;
const STREAM_AGAIN_MS = 60000;

let lastId = "";
let controller = null;
let wake = () => {};

/** Follows the jobs until the page is closed. */
export async function follow() {
  document.addEventListener("visibilitychange", onVisibility);
  key.on(() => restart());
  let pause = 0;
  for (;;) {
    if (pause) await sleep(pause);
    let heard = false;
    try {
      if (document.hidden) await pollWhile(() => document.hidden, HIDDEN_POLL_MS);
      await stream(() => {
        heard = true;
      });
      pause = heard ? 100 : 1000;
    } catch (error) {
      if (error.name === "AbortError") {
        pause = 0;
      } else if (error === HELD_BACK || error.code === "too_many_streams") {
        const until = Date.now() + STREAM_AGAIN_MS;
        await pollWhile(() => Date.now() < until && !document.hidden, POLL_MS);
        pause = 0;
      } else {
        link.set(locked.value ? "locked" : "lost");
        pause = heard ? 300 : Math.min(10000, Math.max(500, 1.6 * pause));
        if (locked.value) pause = 3600000; // a new key wakes it
      }
    }
  }
}

/** Ends the present connection, so that another one begins at once. */
function restart() {
  controller?.abort();
  wake();
}

let hiddenTimer = 0;

function onVisibility() {
  clearTimeout(hiddenTimer);
  // A browser has few connections to a host: a page that nobody sees gives its own back.
  if (document.hidden) hiddenTimer = setTimeout(restart, HIDDEN_MS);
  else wake();
}

const sleep = (ms) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });

const HELD_BACK = new Problem(0, "held_back", "The stream does not get through.");

async function stream(onHeard) {
  const mine = new AbortController();
  controller = mine;
  let heldBack = false;
  let timer = setTimeout(() => {
    heldBack = true;
    mine.abort();
  }, FIRST_EVENT_MS);
  const beat = () => {
    clearTimeout(timer);
    timer = setTimeout(() => mine.abort(), SILENCE_MS);
  };
  try {
    const headers = lastId ? { "Last-Event-ID": lastId } : {};
    const response = await send("v1/events", { headers, signal: mine.signal });
    for await (const { event, data, id } of eventsOf(response.body, beat)) {
      onHeard();
      if (id) lastId = id;
      link.set("live");
      if (data) take(event, JSON.parse(data));
    }
  } catch (error) {
    if (heldBack) throw HELD_BACK;
    // A stream that breaks off is a TypeError of the reader.
    throw error instanceof Problem || error.name === "AbortError" ? error : new Problem(0, "cut", "");
  } finally {
    clearTimeout(timer);
  }
}

function take(event, data) {
  if (event === "state") {
    const there = new Set(data.jobs.map(put).map((one) => one.job_id));
    for (const one of known()) if (!hasEnded(one) && !there.has(one.job_id)) catchUp(one.job_id);
    return;
  }
  const { job_id, status, progress, attempt, at } = data;
  if (event === "ended") {
    put(data.job ?? { job_id, status });
  } else if (event === "deleted") {
    put({ job_id, status: "gone" });
  } else if (job(job_id)) {
    const began = event === "running" ? { run_at: at } : {};
    put({ job_id, status, attempts: attempt, ...began, ...(progress ? { progress } : {}) });
  } else {
    newest();
  }
  if (["submitted", "running", "requeued", "ended"].includes(event)) places();
}

/** A job of another tab or client: its words are only in the list. */
const newest = throttle(() => list({ limit: 20 }).catch(() => {}), 1000);

/** Places in the queue change with every job before them. */
const places = throttle(() => {
  if (known().some((one) => one.status === "queued")) {
    list({ status: "queued", limit: 200 }).catch(() => {});
  }
}, 1000);

const catchUp = (id) => refresh(id).catch(() => {});

async function pollWhile(goesOn, pause) {
  while (goesOn()) {
    try {
      const active = known().filter((one) => !hasEnded(one));
      if (!document.hidden) await list({ limit: 20 });
      await Promise.all(active.slice(0, 8).map((one) => refresh(one.job_id)));
      if (!document.hidden) link.set("polling");
    } catch {
      link.set(locked.value ? "locked" : "lost");
    }
    await sleep(pause);
  }
}
