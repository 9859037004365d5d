// How far a job is, in words, and how long it may still take.
import { about, clock, many } from "../lib/words.js";
import { serviceTime } from "../service/api.js";
import { about as service } from "../service/about.js";

const STAGES = {
  writing: "Writing the text",
  metadata: "Planning tempo, key and length",
  codes: "Planning the music",
  waiting: "Planned; waiting for a free decoder",
  encoding: "Reading the audio",
  diffusion: "Making the music",
  vae: "Turning it into sound",
  storing: "Storing the takes",
};
const OF_TAKES = ["vae", "storing"]; // their steps are takes, which may be long
const FIRST_SECONDS = 1.5; // before that, and before this share, an estimate would be a guess
const FIRST_SHARE = 0.08;

/** {stage, detail, share}: `share` is null if nothing can be said. */
export function progressOf(job) {
  if (job.status === "queued") return queued(job);
  if (job.status !== "running") return { stage: "Loading", detail: "", share: null };
  const { stage, step, total, fraction } = job.progress ?? {};
  if (!stage) return { stage: "Starting", detail: elapsedWords(job), share: null };
  const counted = total > 1 && stage !== "waiting";
  const left = timeLeft(job);
  const detail = [
    counted
      ? OF_TAKES.includes(stage)
        ? `take ${Math.min(step + 1, total)} of ${total}`
        : `${stage === "codes" ? "code" : "step"} ${step} of ${total}`
      : "",
    `${Math.round(fraction * 100)} %`,
    left === null ? elapsedWords(job) : `${about(left)} left`,
  ];
  return {
    stage: STAGES[stage] ?? stage,
    detail: detail.filter(Boolean).join(" · "),
    share: fraction,
  };
}

function queued(job) {
  const place = job.queue_position;
  const before = place > 1 ? `${many(place - 1, "song")} before it` : "Next in the queue";
  const ready = service.value.models?.decoders.length;
  if (ready === 0) return { stage: before, detail: "The engines are starting.", share: null };
  const wait = job.eta_seconds ? `ready in ${about(job.eta_seconds)}` : "";
  const again = job.attempts > 0 ? "started again, because its worker was lost" : "";
  return { stage: before, detail: [wait, again].filter(Boolean).join(" · "), share: null };
}

const elapsed = (job) =>
  Math.max(0, serviceTime() - (job.run_at ?? job.started_at ?? serviceTime()));
const elapsedWords = (job) => (elapsed(job) >= 1 ? `${clock(elapsed(job))} so far` : "");

/** Seconds that are left at the speed so far; null while that is not known. */
function timeLeft(job) {
  const { stage, fraction } = job.progress;
  const seconds = elapsed(job);
  if (stage === "waiting" || OF_TAKES.includes(stage)) return null;
  if (fraction < FIRST_SHARE || seconds < FIRST_SECONDS) return null;
  return (seconds * (1 - fraction)) / fraction;
}

/** One line for a list. */
export function shortly(job) {
  const { stage, share } = progressOf(job);
  return share === null ? stage : `${stage}, ${Math.round(share * 100)} %`;
}
