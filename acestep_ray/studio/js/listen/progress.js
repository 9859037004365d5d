// How far a job is, in words, and how long it may still take.
import { about, clock, many } from "../lib/words.js";
import { serviceTime } from "../service/api.js";
import { about as service } from "../service/about.js";
import { estimate } from "../service/estimate.js";
import { link } from "../service/follow.js";
import { record } from "../songs/own.js";

const STAGES = {
  writing: "Writing the text",
  metadata: "Planning tempo, key and length",
  codes: "Planning the music",
  waiting: "Planned; waiting for its turn",
  encoding: "Reading the audio",
  diffusion: "Making the music",
  vae: "Turning it into sound",
  storing: "Storing the takes",
};
const OF_TAKES = ["vae", "storing"]; // their steps are takes, which may be long
const FIRST_SECONDS = 1.5; // before that, and before this share, an estimate would be a guess
const FIRST_SHARE = 0.08;

const LOST = {
  stage: "Waiting for the service to come back",
  detail: "It cannot be reached now. The song is not lost: it goes on when the service is back.",
};

/** {stage, detail, share}: `share` is null if nothing can be said. */
export function progressOf(job) {
  if (link.value === "lost") return { ...LOST, share: null, lost: true };
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
  // Before a song was measured, the service has no figure of its own.
  const measured = service.value.stats?.work_per_second;
  const wait = job.eta_seconds && measured ? `ready in ${about(job.eta_seconds)}` : "";
  const again = job.attempts > 0 ? "started again, because its worker was lost" : "";
  return { stage: before, detail: [wait, again].filter(Boolean).join(" · "), share: null };
}

const elapsed = (job) =>
  Math.max(0, serviceTime() - (job.run_at ?? job.started_at ?? serviceTime()));
const elapsedWords = (job) => (elapsed(job) >= 1 ? `${clock(elapsed(job))} so far` : "");

/** Seconds that are left: at the speed so far, else by what earlier songs took; null while neither is
 * known. */
function timeLeft(job) {
  const { stage, fraction } = job.progress;
  const seconds = elapsed(job);
  if (stage === "waiting") return null;
  const early = fraction < FIRST_SHARE || seconds < FIRST_SECONDS;
  if (!early && !OF_TAKES.includes(stage)) return (seconds * (1 - fraction)) / fraction;
  const asked = record(job.job_id)?.values;
  const whole = asked && job.attempts < 2 ? estimate(asked)?.all : null;
  return whole > seconds ? whole - seconds : null;
}

/** One line for a list. */
export function shortly(job) {
  const { stage, share, lost } = progressOf(job);
  if (lost) return "waiting for the service";
  return share === null ? stage : `${stage}, ${Math.round(share * 100)} %`;
}
