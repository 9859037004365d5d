// Values of the music that the user did not choose: the language model or an example has filled them
// in. They hold for the next songs, too, so they are marked, and can be taken out.
import { $, h, icon, sr } from "../lib/dom.js";

/** The fields, and what they hold if nobody has chosen. */
const UNCHOSEN = {
  bpm: "",
  key_scale: "",
  time_signature: "",
  audio_duration: "",
  vocal_language: "en",
};
let by = ""; // who filled them in
let filled = {}; // name -> value
let note = null;

const control = (name) => $(`#${name}`);
const names = () => Object.keys(filled).filter((name) => control(name).value === filled[name]);

/** {by, filled} of the fields that still hold what was filled in. */
export const writtenNow = () => ({
  by,
  filled: Object.fromEntries(names().map((name) => [name, filled[name]])),
});

/** As `writtenNow` returned it, after these values were set. */
export function setWritten(next) {
  ({ by, filled } = next);
}

/** What to mark of values that `writer` fills in; `chosen`: those of the user, who stays the one that
 * has chosen what is equal. */
export function writtenOf(writer, values, chosen) {
  const given = Object.keys(UNCHOSEN).filter(
    (name) => values[name] && values[name] !== chosen[name],
  );
  return { by: writer, filled: Object.fromEntries(given.map((name) => [name, values[name]])) };
}

/** Values for the form that take out what was filled in. */
export const unwritten = (some = names()) =>
  Object.fromEntries(some.map((name) => [name, UNCHOSEN[name]]));

/** `fill` sets values of the form. Returns what shows the marks. */
export function startWritten(fill) {
  note = h("div", { class: "notice written-note", role: "status", hidden: true });
  $("#music-title").after(note);
  let shown = "";
  return () => {
    const present = names();
    const now = `${by} ${present.join()}`;
    if (now === shown) return;
    shown = now;
    for (const name of Object.keys(UNCHOSEN)) mark(name, present.includes(name), fill);
    note.hidden = !present.length;
    note.replaceChildren(
      h(
        "span",
        {},
        `${listed(present.map(labelOf))}: filled in by ${by}, for the next songs, too.`,
      ),
      h(
        "button",
        { type: "button", class: "quiet", onclick: () => fill(unwritten()) },
        present.length === 1 ? "Clear it" : "Clear them",
      ),
    );
  };
}

const labelOf = (name) => control(name).labels[0].textContent.split(",")[0];

function listed(words) {
  const all = words.map((word, at) => (at ? word.toLowerCase() : word));
  return all.length > 1 ? `${all.slice(0, -1).join(", ")} and ${all.at(-1)}` : all.join("");
}

function mark(name, marked, fill) {
  const field = control(name).closest(".field");
  $(".by", field)?.remove();
  if (!marked) return;
  const clear = h(
    "button",
    { type: "button", onclick: () => (fill(unwritten([name])), control(name).focus()) },
    icon("close"),
    sr(`Clear ${labelOf(name)}`),
  );
  field.append(h("p", { class: "by" }, h("span", {}, by.replace("the ", "")), clear));
}
