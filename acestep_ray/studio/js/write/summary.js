// What Create will do, in a line beside it.
import { $, setText } from "../lib/dom.js";
import { about as spoken, clock } from "../lib/words.js";
import { about } from "../service/about.js";
import { estimate } from "../service/estimate.js";
import { values } from "./form.js";

const SPACE = "\u00a0"; // what belongs together stays on a line

export function startSummary() {
  about.on(showSummary);
}

export function showSummary() {
  const asked = values();
  const { models, stats } = about.value;
  const takes = Number(asked.batch_size) || models?.defaults.batch_size || 2;
  const { time_signature: metre } = asked;
  const parts = [
    `${takes}${SPACE}${takes === 1 ? "take" : "takes"}`,
    asked.task_type === "text2music" && asked.audio_duration && lengthOf(asked.audio_duration),
    asked.bpm && `${asked.bpm}${SPACE}bpm`,
    asked.key_scale.replace(" ", SPACE),
    metre && `${metre}/${metre === "6" ? 8 : 4}`,
    languageOf(asked.vocal_language),
    asked.audio_format,
    stats?.queued ? `${stats.queued} waiting` : "",
    time(estimate(asked)),
  ];
  setText($("#summary"), parts.filter(Boolean).join(`${SPACE}· `));
}

const lengthOf = (text) => (Number(text) >= 60 ? clock(Number(text)) : `${text} s`);

/** English is what the form has at first, as empty fields are of the other values. */
const languageOf = (code) =>
  ["en", "unknown"].includes(code) ? "" : $("#vocal_language").selectedOptions[0]?.textContent;

function time(known) {
  if (known?.all) return `${spoken(known.all)} to make`;
  return known ? `${spoken(known.each)} to make for each minute of music` : "";
}
