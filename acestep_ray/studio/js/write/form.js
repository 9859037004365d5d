// The form's values: as the page holds them, and as a request.
import { $, $$, setRange } from "../lib/dom.js";
import { decoderOf, hasLm } from "../service/about.js";
import { AudioInput } from "./audio_input.js";
import { clearFieldErrors } from "./errors.js";
import { setWritten, writtenNow } from "./written.js";

/** Fields of the page that are sent under their own names if they are not empty. */
const MUSIC = [
  "bpm",
  "key_scale",
  "time_signature",
  "vocal_language",
  "batch_size",
  "shift",
  "audio_format",
];
const LM = [
  "lm_model_path",
  "lm_temperature",
  "lm_cfg_scale",
  "lm_top_k",
  "lm_top_p",
  "lm_repetition_penalty",
  "lm_negative_prompt",
];
/** Stands for no adapter where the service has a default one. */
export const NO_ADAPTER = "[]";
export const SOURCE_TASKS = ["cover", "repaint", "lego", "extract", "complete"];

let changed = () => {};
let shownTask = "";
const inputs = {};

export const form = () => $("#song");
const FIELDS =
  "textarea, select, input:not([type=checkbox], [type=radio], [type=range], [type=file])";
/** Whether the user is in a field of the form, and may go on writing. */
export const isWriting = () =>
  form().contains(document.activeElement) && document.activeElement.matches(FIELDS);
/** {source, reference}, each an AudioInput. */
export const audioInputs = () => inputs;

/** Calls `onchange` after every change of a value, by the user or by the page. */
export function startForm(onchange) {
  changed = onchange;
  inputs.source = new AudioInput($("#source"), "src_audio", { window: true }, onUse);
  inputs.reference = new AudioInput($("#reference"), "reference_audio", {}, onUse);
  form().addEventListener("input", onUse);
  form().addEventListener("change", onUse);
  onUse();
}

function onUse() {
  showParts();
  changed();
}

/** Shows what belongs to the task, and to the way in which the song is described. */
function showParts() {
  const { task_type: task, mode } = values();
  for (const part of $$("[data-tasks]", form()))
    part.hidden = !part.dataset.tasks.split(" ").includes(task);
  for (const part of $$("[data-mode]", form())) {
    part.hidden = part.dataset.mode !== (task === "text2music" ? mode : "write");
  }
  for (const slide of $$(".slide", form())) {
    const input = $("input", slide);
    setRange(input, input.value);
    $("output", slide).value = `${Math.round(100 * input.value)} %`;
  }
  inputs.source.showWindow(task === "repaint" || task === "lego");
  if (task === shownTask) return;
  if (shownTask) clearFieldErrors(); // they are those of the other task
  shownTask = task;
  sayRefused();
}

/** Says again which files were refused, as long as nothing was chosen instead. */
export const sayRefused = () => Object.values(inputs).forEach((one) => one.sayRefused());

/** Every value that the form has, also of the parts that are not shown. */
export function values() {
  const found = {};
  for (const control of form().elements) {
    if (!control.name) continue;
    if (control.type === "radio") {
      if (control.checked) found[control.name] = control.value;
    } else found[control.name] = control.type === "checkbox" ? control.checked : control.value;
  }
  return {
    ...found,
    source: inputs.source.take,
    source_seconds: inputs.source.duration,
    reference: inputs.reference.take,
    written: writtenNow(),
  };
}

/** Sets the values that are given, and leaves the others. */
export function fill(next) {
  for (const control of form().elements) {
    const value = next[control.name];
    if (!control.name || value === undefined || value === null) continue;
    if (control.type === "radio")
      control.checked = control.value === value && !control.disabled ? true : control.checked;
    else if (control.type === "checkbox") control.checked = Boolean(value);
    else if (control.tagName === "SELECT") choose(control, value);
    else control.value = value;
  }
  if (next.written) setWritten(next.written);
  if (next.source !== undefined) inputs.source.setTake(next.source);
  if (next.reference !== undefined) inputs.reference.setTake(next.reference);
  if (next.reference) $("#reference-card").open = true;
  if (next.seed) $("#advanced").open = true;
  onUse();
}

/** Selects a value; one that is not offered (yet) is remembered until the choices are known. */
function choose(select, value) {
  select.value = value;
  if (select.value !== value) select.dataset.wanted = value;
}

/** What is sent for these values: {fields, files}. */
export function request(asked = values(), files = chosenFiles()) {
  const task = asked.task_type;
  const fields = { task_type: task };
  const take = (...names) => {
    for (const name of names) if (filled(asked[name])) fields[name] = asked[name];
  };
  const described = task === "text2music" && asked.mode === "describe";
  if (described) {
    take("sample_query");
    fields.sample_mode = true;
    if (asked.instrumental) fields.instrumental = true;
  } else take("caption", "lyrics");
  take(...MUSIC);
  const planned = task === "text2music" && asked.use_5hz_lm && hasLm();
  if (planned) {
    fields.use_5hz_lm = true;
    if (asked.use_cot_caption && !described) fields.use_cot_caption = true;
  }
  if (planned || described) take(...LM);
  if (task === "text2music") take("audio_duration");
  if (filled(asked.seed)) {
    fields.seed = asked.seed;
    fields.use_random_seed = false;
  }
  const decoder = decoderOf(asked.model);
  if (decoder && !decoder.default) fields.model = decoder.name;
  if (filled(asked.adapters))
    fields.adapters =
      asked.adapters === NO_ADAPTER
        ? NO_ADAPTER
        : JSON.stringify([{ name: asked.adapters, scale: asked.adapter_scale || 1 }]);
  if (filled(asked.inference_steps)) fields.inference_steps = asked.inference_steps;
  else if (decoder && !decoder.turbo) fields.inference_steps = decoder.recommended_steps;
  if (decoder && !decoder.turbo) take("guidance_scale");
  if (task === "repaint" || task === "lego") take("repainting_start", "repainting_end");
  if (task === "cover" && Number(asked.audio_cover_strength) < 1) take("audio_cover_strength");
  if (task === "lego" || task === "extract") take("track_name");
  if (task === "complete") take("track_classes");
  return { fields: { ...fields, ...takes(asked, task, files) }, files: filesOf(task, files) };
}

const filled = (value) => value !== undefined && value !== null && value !== "";

function takes(asked, task, files) {
  const fields = {};
  if (SOURCE_TASKS.includes(task) && asked.source && !files.src_audio) {
    fields.src_job_id = asked.source.job_id;
    fields.src_take = asked.source.take;
  }
  if (asked.reference && !files.reference_audio) {
    fields.reference_job_id = asked.reference.job_id;
    fields.reference_take = asked.reference.take;
  }
  return fields;
}

function filesOf(task, files) {
  const used = { ...files };
  if (!SOURCE_TASKS.includes(task)) delete used.src_audio;
  return used;
}

/** The files that were dropped or chosen, by the names of their fields. */
export function chosenFiles() {
  const files = {};
  if (inputs.source.file) files.src_audio = inputs.source.file;
  if (inputs.reference.file) files.reference_audio = inputs.reference.file;
  return files;
}
