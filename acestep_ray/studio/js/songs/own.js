// The songs that were made in this browser, with what was asked for: also after a reload, on another
// day, and when the service has removed the song.
import * as db from "../lib/db.js";
import { callAll } from "../lib/signal.js";
import { base } from "../service/base.js";
import { job } from "../service/jobs.js";

const own = new Map();
const listeners = new Set();
const tabs = new BroadcastChannel(`studio ${base.pathname} songs`);

// What another tab has made or removed.
tabs.onmessage = ({ data: { kept, forgotten } }) => {
  if (kept) own.set(kept.job_id, kept);
  else own.delete(forgotten);
  callAll(listeners);
};

/** Reads what earlier visits left. */
export async function readOwn() {
  for (const record of await db.all()) if (!own.has(record.job_id)) own.set(record.job_id, record);
  callAll(listeners);
}

export const onOwn = (listener) => listeners.add(listener);

/** Ids, newest first. */
export const ownIds = () =>
  [...own.values()].sort((a, b) => b.created_at - a.created_at).map((one) => one.job_id);

export const isOwn = (id) => own.has(id);
export const record = (id) => own.get(id) ?? null;

/** The record of a song that another tab may have made. */
export async function findRecord(id) {
  const found = own.get(id) ?? (await db.get(id));
  if (found && !own.has(id)) own.set(id, found);
  return found;
}

/** Keeps {job_id, created_at, title, values, takes, source, liked}. */
export function keep(found) {
  own.set(found.job_id, found);
  tabs.postMessage({ kept: found });
  callAll(listeners);
  return db.put(found);
}

export function forget(id) {
  own.delete(id);
  tabs.postMessage({ forgotten: id });
  callAll(listeners);
  return db.remove(id);
}

/** What a song is called: its caption, in whole if it was made here. */
export function titleOf(id) {
  return own.get(id)?.title || job(id)?.caption || "Untitled";
}

const files = new Map();

/** Keeps the files that a song was made of, as long as the page is open. */
export const keepFiles = (id, chosen) => files.set(id, chosen);
export const filesOf = (id) => files.get(id) ?? {};

export const isLiked = (id, take) => Boolean(own.get(id)?.liked?.includes(take));

/** Marks a take as liked, or no longer; resolves when the browser has stored it. A song of another
 * browser gets a record of its own. */
export function like(id, take) {
  const one = job(id);
  const found = own.get(id) ?? {
    job_id: id,
    created_at: one.created_at,
    title: titleOf(id),
    foreign: true,
  };
  const liked = found.liked ?? [];
  const next = liked.includes(take) ? liked.filter((other) => other !== take) : [...liked, take];
  return keep({ ...found, liked: next });
}
