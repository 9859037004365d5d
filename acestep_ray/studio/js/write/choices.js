// What can be chosen on this service, and what it cannot do, at the place where it matters.
import { $, $$, h } from "../lib/dom.js";
import { about, decoderOf } from "../service/about.js";
import { NO_ADAPTER, values } from "./form.js";

const TASKS = {
  text2music: "New song",
  cover: "Cover",
  repaint: "Repaint",
  lego: "Add a track",
  extract: "Extract",
  complete: "Complete",
};
const NOTES = [
  "C",
  "C#",
  "Db",
  "D",
  "D#",
  "Eb",
  "E",
  "F",
  "F#",
  "Gb",
  "G",
  "G#",
  "Ab",
  "A",
  "A#",
  "Bb",
  "B",
];
const FORMATS = {
  mp3: "MP3",
  wav: "WAV, 16 bits",
  wav32: "WAV, 32-bit floats",
  flac: "FLAC",
  opus: "Opus",
  ogg: "Ogg Vorbis",
  aac: "AAC (M4A)",
};
const LM_STATES = { ready: "", starting: ", starting", idle: ", starts when it is asked for" };

const option = (value, text = value) => h("option", { value }, text);

export function startChoices() {
  for (const mode of ["major", "minor"]) {
    const group = h(
      "optgroup",
      { label: mode },
      NOTES.map((note) => option(`${note} ${mode}`)),
    );
    $("#key_scale").append(group);
  }
  about.on(({ models }) => models && offer(models));
}

/** Fills the lists with what is deployed, and keeps what was chosen. */
function offer(models) {
  const languages = new Intl.DisplayNames([navigator.language, "en"], { type: "language" });
  const named = models.languages.map((code) => [
    code,
    code === "unknown" ? "Let the model decide" : languages.of(code === "ht" ? "ht" : code),
  ]);
  named.sort(([a, x], [b, y]) => (b === "en") - (a === "en") || x.localeCompare(y));
  refill(
    "#vocal_language",
    named.map(([code, name]) => option(code, name)),
  );
  refill(
    "#audio_format",
    models.audio_formats.map((name) => option(name, FORMATS[name] ?? name)),
  );
  refill(
    "#model",
    models.decoders.map((one) =>
      option(one.name, one.mock && one.name !== "mock" ? `${one.name} (mock)` : one.name),
    ),
  );
  refill("#lm_model_path", [
    option("", "The default"),
    ...models.planners.map((one) => option(one.name, `${one.name}${LM_STATES[one.state] ?? ""}`)),
  ]);
  refill("#track_name", [option("", "Choose"), ...models.tracks.map((name) => option(name))]);
  $("#audio_duration").max = models.limits.duration;
  $("#batch_size").max = models.limits.batch_size;
  $("#batch_size").placeholder = models.defaults.batch_size;
  offerTasks(models);
  sayWhatIsMissing(models);
  showModel();
}

function refill(selector, options) {
  const select = $(selector);
  const same =
    [...select.options].map((one) => one.textContent).join() ===
    options.map((one) => one.textContent).join();
  if (same) return;
  const wanted = select.dataset.wanted ?? select.value;
  select.replaceChildren(...options);
  select.value = wanted;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  else delete select.dataset.wanted;
}

/** A task that no model can do is not offered; one that only another model can do chooses it. */
function offerTasks(models) {
  const possible = new Set(models.decoders.flatMap((one) => one.tasks));
  for (const [task, name] of Object.entries(TASKS)) {
    const there = $(`#tasks input[value="${task}"]`);
    if (there) there.disabled = models.decoders.length > 0 && !possible.has(task);
    else if (possible.has(task)) {
      $("#tasks").append(
        h(
          "label",
          {},
          h("input", { type: "radio", name: "task_type", value: task }),
          h("span", {}, name),
        ),
      );
    }
  }
}

/** The adapters for a decoder's model; without any, there is nothing to choose. */
function offerAdapters(decoder) {
  const { adapters, default: usual } = about.value.adapters ?? { adapters: [] };
  const fitting = adapters.filter((one) => one.models.includes(decoder.name));
  for (const field of $$(".field.adapter")) field.hidden = !fitting.length;
  const names = fitting.map((one) => option(one.name));
  refill(
    "#adapters",
    usual
      ? [option("", `The service's: ${usual}`), option(NO_ADAPTER, "None"), ...names]
      : [option("", "None"), ...names],
  );
}

/** Guidance, steps and adapters depend on the model. */
export function showModel() {
  const { model, task_type: task } = values();
  const models = about.value.models;
  let decoder = decoderOf(model);
  if (!decoder) return;
  if (!decoder.tasks.includes(task)) {
    decoder = models.decoders.find((one) => one.tasks.includes(task)) ?? decoder;
    $("#model").value = decoder.name;
  }
  offerAdapters(decoder);
  $("#inference_steps").placeholder = decoder.recommended_steps;
  $("#guidance_scale").disabled = decoder.turbo;
  const hint = $("#guidance-hint");
  hint.hidden = !decoder.turbo;
  hint.textContent = `${decoder.name} is a turbo model: made for ${decoder.recommended_steps} steps, and it ignores guidance.`;
}

function lmHint(models, lm) {
  if (!lm)
    return "This service has no language model: songs cannot be planned, described or improved.";
  const planner =
    models.planners.find((one) => one.name === values().lm_model_path) ?? models.planners[0];
  const asleep =
    planner.state === "ready"
      ? ""
      : " It is not running now: it starts when it is asked for, which takes longer.";
  return `It decides on tempo, key and form first: better songs, a little slower.${asleep}`;
}

function sayWhatIsMissing(models) {
  const mock = models.decoders.some((one) => one.mock);
  const starting = !models.decoders.length;
  const notice = $("#service-notice");
  notice.hidden = !mock && !starting;
  notice.textContent = starting
    ? "The engines are starting. A song that you send now waits for them."
    : "Mock engines: a small synthesiser stands in for the model, to try everything else. It follows tempo, key, metre and length; it does not sing.";
  const lm = models.planners.length > 0;
  for (const control of ["#use_5hz_lm", "#write-it", "#improve", "#modes input[value=describe]"])
    $(control).disabled = !lm;
  for (const control of $$("#lm-options :is(input, select)")) control.disabled = !lm;
  $("#lm-hint").textContent = lmHint(models, lm);
  if (!lm && values().mode === "describe") $("#modes input[value=write]").click();
}
