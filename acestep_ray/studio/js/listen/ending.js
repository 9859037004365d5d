// How a song is stopped, and removed.
import { confirm, toast } from "../lib/dialog.js";
import { Problem } from "../service/api.js";
import { cancel, removeJob } from "../service/jobs.js";
import { forget, isOwn } from "../songs/own.js";

export async function cancelJob(id) {
  try {
    await cancel(id);
  } catch (problem) {
    toast(problem.message);
  }
}

/** Removes a song from the service, and from the history of this browser. */
export async function remove(id) {
  const other = isOwn(id) ? "" : "It was not made in this browser. ";
  const yes = await confirm(
    "Delete this song?",
    `${other}Its takes are removed from the service, and from the list. This cannot be undone.`,
    "Delete",
  );
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
