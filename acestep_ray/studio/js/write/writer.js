// The language model writes: a song from a description, or a better form of what is in the form.
import { announce } from "../lib/dialog.js";
import { $, h } from "../lib/dom.js";
import { Problem, postJson } from "../service/api.js";
import { showProblem, clearErrors, formAlert } from "./errors.js";
import { fill, values } from "./form.js";
import { unwritten, writtenOf } from "./written.js";

const WRITTEN = [
  "caption",
  "lyrics",
  "bpm",
  "key_scale",
  "time_signature",
  "audio_duration",
  "vocal_language",
  "mode",
  "written",
];
/** Names of fields on these routes that the form has under another name. */
const FIELDS = { query: "sample_query", prompt: "caption", duration: "audio_duration" };

let before = null;

export function startWriter() {
  $("#write-it").addEventListener("click", () => void write("v1/create_sample", describe()));
  $("#improve").addEventListener(
    "click",
    () =>
      void write("format_input", { prompt: values().caption, lyrics: values().lyrics, ...kept() }),
  );
  $("#undo-text").addEventListener("click", undo);
  $("#surprise").addEventListener("click", () => void example("simple_mode"));
  $("[data-surprise]").addEventListener("click", () => void example("whole"));
}

/** The values without those that were filled in for an earlier song. */
const chosen = () => {
  const now = values();
  return { ...now, ...unwritten(Object.keys(now.written.filled)) };
};

/** Metadata that the user has set: the language model keeps them. */
function kept() {
  const { bpm, key_scale, time_signature, audio_duration, lm_model_path } = chosen();
  const set = { bpm, key_scale, time_signature, duration: audio_duration, lm_model_path };
  return Object.fromEntries(Object.entries(set).filter(([, value]) => value));
}

function describe() {
  const { sample_query, instrumental, vocal_language } = chosen();
  // English is what the form has at first: then the description decides.
  const language = vocal_language === "en" ? {} : { vocal_language };
  return { query: sample_query, instrumental, ...language, ...kept() };
}

async function write(path, body) {
  const controller = new AbortController();
  clearErrors();
  busy(controller);
  try {
    const { data, error } = await postJson(path, body, { signal: controller.signal });
    if (!data) throw new Problem(500, "", error ?? "The language model wrote nothing.");
    take(data, "the language model");
    announce("The language model has written the song.");
  } catch (problem) {
    if (problem.name === "AbortError") return;
    const errors = (problem.errors ?? []).map((one) => ({
      ...one,
      field: FIELDS[one.field] ?? one.field,
    }));
    showProblem(Object.assign(problem, { errors }));
  } finally {
    busy(null);
  }
}

/** Shows that the language model works, and for how long; its work can be ended. */
function busy(controller) {
  const box = $("#writing");
  clearInterval(Number(box.dataset.timer));
  for (const one of ["#write-it", "#improve", "#create"]) $(one).disabled = Boolean(controller);
  box.hidden = !controller;
  if (!controller) return;
  const seconds = h("span", { class: "num", "aria-hidden": "true" });
  box.replaceChildren(
    h("span", {}, "The language model is writing ", seconds),
    h("button", { type: "button", class: "quiet", onclick: () => controller.abort() }, "Stop"),
  );
  const began = Date.now();
  box.dataset.timer = setInterval(() => {
    seconds.textContent = `${Math.round((Date.now() - began) / 1000)} s`;
  }, 500);
}

/** Puts a written song into the form; Undo brings back what was there. */
function take(song, writer) {
  const now = values();
  const own = chosen();
  before = Object.fromEntries(WRITTEN.map((name) => [name, now[name]]));
  const music = {
    bpm: String(song.bpm ?? own.bpm),
    key_scale: song.key_scale ?? song.keyscale ?? "",
    time_signature: song.time_signature ?? "",
    audio_duration: String(song.duration ?? own.audio_duration),
    vocal_language: song.vocal_language ?? own.vocal_language,
  };
  fill({
    mode: "write",
    caption: song.caption ?? "",
    lyrics: song.lyrics ?? "",
    ...music,
    written: writtenOf(writer, music, own),
  });
  $("#undo-text").hidden = false;
  $("#caption").focus();
}

function undo() {
  fill(before);
  $("#undo-text").hidden = true;
}

async function example(kind) {
  try {
    const { data } = await postJson("create_random_sample", { sample_type: kind });
    if (kind === "whole") take(data, "the example");
    else fill({ sample_query: data.description, instrumental: data.instrumental });
  } catch (problem) {
    formAlert(problem.message);
  }
}
