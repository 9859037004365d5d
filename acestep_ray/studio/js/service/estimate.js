// How long the engines need for a song, by what the service has measured with earlier ones.
import { about, decoderOf, hasLm } from "./about.js";

const MINUTE = 60;
const SOURCE_TASKS = ["cover", "extract", "complete"];

/** The length of a take of these values of the form, seconds; 0 if it is not known before the song is
 * made: the language model chooses it, or the source was not read here. */
function lengthOf(asked) {
  const { task_type: task, source_seconds: source = 0 } = asked;
  if (SOURCE_TASKS.includes(task)) return source;
  if (task !== "text2music") {
    const [from, to] = [Number(asked.repainting_start), Number(asked.repainting_end)];
    return source && Math.max(source, to) - Math.min(0, from);
  }
  if (Number(asked.audio_duration) > 0) return Number(asked.audio_duration);
  if ((asked.use_5hz_lm && hasLm()) || asked.mode === "describe") return 0;
  return about.value.models?.defaults.duration ?? 0;
}

/** Seconds that these values take to be made, with nothing before them in the queue: {all}; if the
 * length is not known, {each}, for a minute of music. Null until the service has measured a song. */
export function estimate(asked) {
  const { work_per_second: pace, plan_seconds: plan } = about.value.stats ?? {};
  const decoder = decoderOf(asked.model);
  const written = asked.task_type === "text2music" && asked.mode === "describe";
  const planned = (asked.task_type === "text2music" && asked.use_5hz_lm && hasLm()) || written;
  if (!pace || !decoder || (planned && !plan)) return null;
  const takes = Number(asked.batch_size) || about.value.models.defaults.batch_size;
  const steps = Number(asked.inference_steps) || decoder.recommended_steps;
  const length = lengthOf(asked);
  const seconds = ((length || MINUTE) * takes * steps) / pace + (planned ? plan : 0);
  // How long the language model writes a text is not measured apart from its plans.
  return length && !written ? { all: seconds } : { each: seconds };
}
