// Every job that the page knows, as the service last described it.
import { callAll } from "../lib/signal.js";
import { getJson, jsonOf, Problem, send } from "./api.js";

const jobs = new Map();
const listeners = new Set();
const GONE = ["job_not_found", "job_expired"];

export const job = (id) => jobs.get(id) ?? null;
export const known = () => [...jobs.values()];
export const hasEnded = (one) => ["succeeded", "failed", "gone"].includes(one?.status);

/** Calls the listener with each job that changed. */
export function onJob(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Adds what a response or an event says of a job. A job that has ended stays so: what was on its
 * way before that is older. */
export function put(view) {
  const before = jobs.get(view.job_id);
  if (hasEnded(before) && !hasEnded(view)) return before;
  const after = { ...before, ...view };
  if (after.status !== "running") after.progress = null;
  if (after.status === "running") after.queue_position = 0;
  jobs.set(after.job_id, after);
  callAll(listeners, after, before ?? null);
  return after;
}

/** Reads a job again. One that was removed gets the status "gone". Throws Problem. */
export async function refresh(id, options = {}) {
  try {
    return put(await getJson(`v1/jobs/${id}`, options));
  } catch (problem) {
    if (problem instanceof Problem && GONE.includes(problem.code))
      return put({ job_id: id, status: "gone" });
    throw problem;
  }
}

/** Reads a page of the service's list into what is known. Returns {ids, cursor}. */
export async function list(parameters, options = {}) {
  const query = new URLSearchParams(parameters);
  const page = await getJson(`v1/jobs?${query}`, options);
  for (const view of page.jobs) put(view);
  return { ids: page.jobs.map((view) => view.job_id), cursor: page.next_cursor };
}

export async function cancel(id) {
  const response = await send(`v1/jobs/${id}/cancel`, { method: "POST" });
  return put(await jsonOf(response));
}

export async function removeJob(id) {
  await send(`v1/jobs/${id}`, { method: "DELETE" });
  put({ job_id: id, status: "gone" });
}
