// What was made of a source: the task, and the part of the take that is new.
import { clock } from "../lib/words.js";
import { job } from "../service/jobs.js";
import { record } from "./own.js";

const NAMES = {
  text2music: "",
  cover: "Cover",
  repaint: "Repaint",
  lego: "Added track",
  extract: "Extract",
  complete: "Completed",
};
const WITH_PART = ["repaint", "lego"];
const BEYOND = 0.1; // seconds: the fields have one digit after the point

/** [from, to] in the take, seconds, of the part that was made anew; `to` is null for its end. Null: there
 * is none, or it is not known in this browser. */
export function partOf(id) {
  const asked = record(id)?.values;
  if (!asked || !WITH_PART.includes(asked.task_type)) return null;
  const start = Number(asked.repainting_start) || 0;
  const end = Number(asked.repainting_end);
  const before = Math.max(0, -start); // what is made before the source moves the source back
  return [start + before, asked.repainting_end === "" || end < 0 ? null : end + before];
}

/** [10, 20.5] as "0:10–0:20". */
export const partWords = ([from, to]) =>
  to === null ? `from ${clock(from)}` : `${clock(from)}–${clock(to)}`;

/** Whether the new part of a repaint goes on beyond the end of its source. */
function continues(id) {
  const asked = record(id)?.values;
  const [from, to] = [Number(asked.repainting_start), Number(asked.repainting_end)];
  const read = job(asked.source?.job_id)?.result?.metas?.duration; // if the form had not yet read it
  const length = asked.source_seconds || Number(read) || 0;
  return asked.task_type === "repaint" && from >= 0 && length > from && to > length + BEYOND;
}

/** Such as "Repaint 0:10–0:20" or "Continued from 0:17"; empty for a new song. */
export function taskWords(id) {
  const task = job(id)?.task_type ?? record(id)?.values?.task_type ?? "text2music";
  const part = partOf(id);
  const name = NAMES[task] ?? task;
  if (part && continues(id)) return `Continued from ${clock(part[0])}`;
  return part ? `${name} ${partWords(part)}` : name;
}
