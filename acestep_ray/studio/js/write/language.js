// Whether the lyrics are in another language than the one that is chosen: the voice would read them
// wrongly. Only scripts are told apart, not languages that share one.
import { $, h, setText } from "../lib/dom.js";
import { fill, values } from "./form.js";

const SCRIPTS = [
  ["ja", /[\p{sc=Hiragana}\p{sc=Katakana}]/gu],
  ["zh", /\p{sc=Han}/gu],
  ["ko", /\p{sc=Hangul}/gu],
  ["ru", /\p{sc=Cyrillic}/gu],
  ["ar", /\p{sc=Arabic}/gu],
  ["hi", /\p{sc=Devanagari}/gu],
  ["he", /\p{sc=Hebrew}/gu],
  ["el", /\p{sc=Greek}/gu],
  ["th", /\p{sc=Thai}/gu],
  ["bn", /\p{sc=Bengali}/gu],
  ["ta", /\p{sc=Tamil}/gu],
  ["te", /\p{sc=Telugu}/gu],
  ["pa", /\p{sc=Gurmukhi}/gu],
];
const SHARE = 0.3; // of the letters; kana stand among more Han

const count = (text, letters) => text.match(letters)?.length ?? 0;

/** The code of a language that the lyrics' script suggests; empty for Latin letters. */
function suggested(lyrics) {
  const text = lyrics.replace(/\[[^\]\n]*\]/g, "");
  const all = count(text, /\p{L}/gu);
  return SCRIPTS.find(([, letters]) => count(text, letters) > SHARE * all)?.[0] ?? "";
}

let hint = null;

export function startLanguage() {
  const name = h("span");
  const use = h(
    "button",
    { type: "button", class: "link", onclick: () => fill({ vocal_language: hint.dataset.code }) },
    "Use it",
  );
  hint = h("p", { class: "hint", hidden: true, role: "status" }, name, " ", use);
  $("#vocal_language").after(hint);
  return () => {
    const { lyrics, vocal_language: chosen } = values();
    const code = chosen === "en" ? suggested(lyrics) : "";
    const offered = [...$("#vocal_language").options].find((one) => one.value === code);
    hint.hidden = !offered;
    if (!offered) return;
    hint.dataset.code = code;
    setText(name, `The lyrics look like ${offered.textContent}.`);
  };
}
