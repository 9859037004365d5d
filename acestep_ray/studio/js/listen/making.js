// How a song was made, as people read it; and all that the service says of it, as it says it.
import { h } from "../lib/dom.js";
import { clock } from "../lib/words.js";
import { taskWords } from "../songs/task.js";

/** What the service's text (generation_info) calls a thing, and what it is called here. */
const NAMES = {
  Scale: "Guidance",
  Decoder: "Model",
  Planner: "Language model",
  Text: "Words",
  "Device memory": "Memory of the device",
};
const STAGES = {
  queued: "In the queue",
  text: "Writing the text",
  plan: "Planning",
  waiting: "Waiting for the device",
  reading: "Reading the audio",
  encoding: "Preparing",
  diffusion: "Making the music",
  vae: "Turning it into sound",
  storing: "Storing the takes",
  total: "In all",
};
const PARTS = /, (?=[A-Z][A-Za-z -]*: )/; // "Steps: 8, Scale: 7.0"

export function howMade(one) {
  const text = one.result?.generation_info;
  if (!text) return null;
  const rows = text.split("\n").flatMap((line) => rowsOf(line, one));
  const table = h(
    "table",
    { class: "made-of" },
    h(
      "tbody",
      {},
      rows.map(([name, value, kind]) =>
        h("tr", { class: kind }, h("th", { scope: "row" }, name), h("td", { dir: "auto" }, value)),
      ),
    ),
  );
  const raw = h("pre", { class: "raw", tabindex: "0" });
  const whole = h("details", {}, h("summary", {}, "As the service says it (JSON)"), raw);
  whole.addEventListener("toggle", () => {
    raw.textContent = JSON.stringify(one, null, 2);
  });
  return h("details", { class: "how" }, h("summary", {}, "How it was made"), table, whole);
}

/** [name, value, class] of each thing that a line of the service's text says. */
function rowsOf(line, one) {
  if (line.startsWith("Time: ")) return times(line.slice(6));
  return line.split(PARTS).map((part) => {
    const colon = part.indexOf(": ");
    if (colon < 0) return ["", part];
    const [name, value] = [part.slice(0, colon), part.slice(colon + 2)];
    return [NAMES[name] ?? name, valueOf(name, value, one)];
  });
}

function valueOf(name, value, one) {
  if (name === "Task") return taskWords(one.job_id) || "New song";
  if (name === "Seeds") return value.split(",").join(", ");
  const takes = name === "Takes" && /^(\d+) of ([\d.]+) s$/.exec(value);
  if (takes) return `${takes[1]}, each ${clock(Number(takes[2]))}`;
  if (name === "Scale" || name === "Shift") return String(Number(value));
  const planned = name === "Planner" && /^(.*), (\d+) codes(.*)$/.exec(value);
  if (planned)
    return `${planned[1]}, a plan of ${Number(planned[2]).toLocaleString()} codes${planned[3]}`;
  return value;
}

/** "queued 0.01 s, plan 1.20 s": a row each, of those that took a moment. */
function times(text) {
  const found = text.split(", ").map((part) => /^(.+) ([\d.]+) s$/.exec(part));
  if (found.some((one) => !one)) return [["Time", text]];
  return found
    .filter(([, name, seconds]) => name === "total" || Number(seconds) >= 0.05)
    .map(([, name, seconds]) => [STAGES[name] ?? name, spanOf(Number(seconds)), "time"]);
}

const spanOf = (seconds) =>
  seconds < 60
    ? `${seconds.toFixed(1)} s`
    : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
