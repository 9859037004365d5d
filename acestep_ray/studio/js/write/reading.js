// How much of the texts the model reads. It reads tokens, and its tokenizer is too large for a page:
// the number is an estimate. tests/e2e/studio/test_reading.py compares it with the tokenizer.
import { $ } from "../lib/dom.js";

/** Tokens of the prompt and of the lyrics that the model reads (decoder/diffusers/prompt.py), less
 * what stands around the caption (instruction, tempo, key, length) and above the lyrics. */
export const CAPTION_TOKENS = 200;
export const LYRICS_TOKENS = 2038;

const PIECES =
  /'(?:[sdmt]|ll|ve|re)|\p{N}|[^\r\n\p{L}\p{N}]?\p{L}[\p{L}\p{M}]*| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+/giu;
/** Characters that a token holds, by script. */
const SCRIPTS = [
  [/\p{sc=Han}/u, 1.42],
  [/[\p{sc=Hiragana}\p{sc=Katakana}]/u, 1.2],
  [/\p{sc=Hangul}/u, 1],
  [/\p{sc=Cyrillic}/u, 2.15],
  [/\p{sc=Arabic}/u, 2.1],
  [/\p{sc=Thai}/u, 1.9],
  [/\p{sc=Hebrew}/u, 1.9],
  [/\p{sc=Greek}/u, 1.05],
  [/[\p{sc=Devanagari}\p{sc=Bengali}\p{sc=Tamil}\p{sc=Telugu}\p{sc=Gurmukhi}]/u, 0.9],
];

/** About how many tokens a text is. */
export function tokens(text) {
  let count = 0;
  for (const [piece] of text.normalize("NFC").matchAll(PIECES)) count += tokensOf(piece);
  return Math.round(count);
}

function tokensOf(piece) {
  const script = SCRIPTS.find(([letters]) => letters.test(piece));
  if (script) return Math.max(1, piece.trim().length / script[1]);
  const letters = piece.trim().length;
  if (!/\p{L}/u.test(piece)) return /[^\x00-\x7f]/.test(piece) ? letters : 1;
  if (/[^\x00-\x7f]/.test(piece)) return Math.max(1.3, letters / 2.1);
  return letters <= 4 ? 1 : letters <= 7 ? 1.15 : 1 + (letters - 6) / 3.6;
}

export function startReading() {
  const counters = [
    ["caption", CAPTION_TOKENS],
    ["lyrics", LYRICS_TOKENS],
  ];
  return () => {
    for (const [name, most] of counters) show($(`#${name}-count`), $(`#${name}`).value, most);
  };
}

function show(counter, text, most) {
  const count = tokens(text);
  counter.toggleAttribute("data-over", count > most);
  const numbers = `about ${count.toLocaleString()} of ${most.toLocaleString()} tokens that the model reads`;
  const over =
    count > most ? `Too long: it reads about the first ${Math.round((100 * most) / count)} %.` : "";
  counter.textContent = text.trim() ? [numbers, over].filter(Boolean).join(". ") : "";
}
