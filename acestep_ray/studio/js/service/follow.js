// Keeps the jobs up to date: by one stream of events for all tabs of the browser, which has few
// connections to a host; and by asking again and again where streams do not get through.
import { throttle } from "../lib/dom.js";
import { signal } from "../lib/signal.js";
import { locked, Problem, send } from "./api.js";
import { base } from "./base.js";
import { hasEnded, job, known, list, put, refresh } from "./jobs.js";
import { key } from "./key.js";
import { eventsOf } from "./sse.js";

/** "connecting", "live", "polling", "lost" (trying again) or "locked" (a key is needed). */
export const link = signal("connecting");

const FIRST_EVENT_MS = 8000; // a proxy that holds a stream back does so from its first byte
const SILENCE_MS = 60000; // the service sends a heartbeat every 15 s
const HIDDEN_MS = 60000;
const POLL_MS = 2000;
const ANSWER_MS = 15000; // a service that takes longer for a list cannot be reached
const STREAM_AGAIN_MS = 60000;
const NAME = `studio ${base.pathname} events`;

const channel = new BroadcastChannel(NAME);
let leads = false;
let lastId = "";
let controller = null;
let wake = () => {};

/** Follows the jobs until the page is closed. One tab has the stream and tells the others; if it is
 * closed, another one goes on after the same event. */
export async function follow() {
  channel.onmessage = ({ data }) => hear(data);
  channel.postMessage({ hello: true });
  link.on((state) => leads && channel.postMessage({ state }));
  key.on(restart);
  // The network has changed: whether the service is still there is seen at once.
  for (const event of ["online", "offline"]) addEventListener(event, restart);
  for (;;) {
    await (navigator.locks ? navigator.locks.request(NAME, lead) : leadWhileSeen());
    leads = false;
    link.set("locked");
    while (locked.value) await sleep(3600000); // a new key wakes it
  }
}

function hear({ hello, state, event, data, id }) {
  if (hello && leads) channel.postMessage({ state: link.value });
  if (leads || hello || locked.value) return;
  if (state) link.set(state);
  if (!event) return;
  lastId = id || lastId;
  take(event, data);
}

/** Has the stream, until a key is needed. */
async function lead() {
  leads = true;
  let pause = 0;
  while (!locked.value) {
    if (pause) await sleep(pause);
    let heard = false;
    try {
      await stream(() => {
        heard = true;
      });
      pause = heard ? 100 : 1000;
    } catch (error) {
      if (error.name === "AbortError") {
        pause = 0;
      } else if (error === HELD_BACK || error.code === "too_many_streams") {
        await poll(Date.now() + STREAM_AGAIN_MS);
        pause = 0;
      } else {
        if (!locked.value) link.set("lost");
        pause = heard ? 300 : Math.min(10000, Math.max(500, 1.6 * pause));
      }
    }
  }
}

/** Without locks, which need https or this machine, each tab has a stream of its own: a tab that
 * nobody sees gives its connection back. */
async function leadWhileSeen() {
  let timer = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(restart, HIDDEN_MS);
    else wake();
  });
  await lead();
}

/** Ends the present connection, so that another one begins at once. */
function restart() {
  controller?.abort();
  wake();
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
  while (!navigator.locks && document.hidden) await sleep(3600000);
  const mine = new AbortController();
  controller = mine;
  let heldBack = false;
  let silent = false;
  let timer = setTimeout(() => {
    heldBack = true;
    mine.abort();
  }, FIRST_EVENT_MS);
  const beat = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      silent = true;
      mine.abort();
    }, SILENCE_MS);
  };
  try {
    const headers = lastId ? { "Last-Event-ID": lastId } : {};
    const response = await send("v1/events", { headers, signal: mine.signal });
    for await (const { event, data, id } of eventsOf(response.body, beat)) {
      onHeard();
      if (id) lastId = id;
      link.set("live");
      if (!data) continue;
      const happened = JSON.parse(data);
      channel.postMessage({ event, data: happened, id });
      take(event, happened);
    }
  } catch (error) {
    if (heldBack) throw HELD_BACK;
    // A stream that breaks off is a TypeError of the reader; one that is silent is cut, too.
    const known = error instanceof Problem || error.name === "AbortError";
    throw known && !silent ? error : new Problem(0, "cut", "");
  } finally {
    clearTimeout(timer);
  }
}

function take(event, data) {
  if (event === "state") {
    const there = new Set(data.jobs.map((view) => put(view).job_id));
    for (const one of known()) if (!hasEnded(one) && !there.has(one.job_id)) askFor(one.job_id);
    return;
  }
  const { job_id, status, progress, attempt, at } = data;
  if (!job(job_id) && event !== "deleted") newest();
  if (event === "ended") {
    put(data.job ?? { job_id, status });
  } else if (event === "deleted") {
    put({ job_id, status: "gone" });
  } else if (job(job_id)) {
    const began = event === "running" ? { run_at: at } : {};
    put({ job_id, status, attempts: attempt, ...began, ...(progress ? { progress } : {}) });
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

const asked = new Set();

/** Asks for a job until it has ended: one that is not in the stream, because it ended before, or
 * because it belongs to another key (or to none, if the service got its key later). */
async function askFor(id) {
  if (asked.has(id)) return;
  asked.add(id);
  while (!hasEnded(job(id)) && !locked.value) {
    await refresh(id).catch(() => {});
    if (!hasEnded(job(id))) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  asked.delete(id);
}

/** Asks again and again until that time; each tab for itself. */
async function poll(until) {
  while (Date.now() < until && !locked.value) {
    try {
      const active = known().filter((one) => !hasEnded(one));
      const options = { signal: AbortSignal.timeout(ANSWER_MS) };
      await list({ limit: 20 }, options);
      await Promise.all(active.slice(0, 8).map((one) => refresh(one.job_id, options)));
      link.set("polling");
    } catch {
      if (!locked.value) link.set("lost");
    }
    await sleep(POLL_MS);
  }
}
