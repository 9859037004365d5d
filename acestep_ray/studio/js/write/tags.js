// Buttons that write a section tag into the lyrics.
import { $, h } from "../lib/dom.js";

/** Tags that ACE-Step knows; docs/studio.md names the source. */
const TAGS = [
  "Intro",
  "Verse",
  "Pre-Chorus",
  "Chorus",
  "Bridge",
  "Instrumental",
  "Guitar Solo",
  "Piano Interlude",
  "Build",
  "Drop",
  "Breakdown",
  "Outro",
  "Fade Out",
  "Silence",
];

export function startTags() {
  const bar = $("#tags");
  bar.replaceChildren(
    ...TAGS.map((tag, index) =>
      h(
        "button",
        { type: "button", tabindex: index ? "-1" : "0", onclick: () => insert(tag) },
        tag,
      ),
    ),
  );
  bar.addEventListener("keydown", (event) => {
    const buttons = [...bar.children];
    const now = buttons.indexOf(document.activeElement);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: buttons.length - 1 }[
      event.key
    ];
    if (next === undefined || !buttons[next]) return;
    event.preventDefault();
    buttons[now].tabIndex = -1;
    buttons[next].tabIndex = 0;
    buttons[next].focus();
  });
}

/** Writes a tag on a line of its own, where the cursor is. Undo works, because it is typed in. */
function insert(tag) {
  const lyrics = $("#lyrics");
  const before = lyrics.value.slice(0, lyrics.selectionStart);
  const gap =
    before.trim() === ""
      ? ""
      : before.endsWith("\n\n")
        ? ""
        : before.endsWith("\n")
          ? "\n"
          : "\n\n";
  const text = `${gap}[${tag}]\n`;
  lyrics.focus();
  if (!document.execCommand("insertText", false, text)) {
    lyrics.setRangeText(text, lyrics.selectionStart, lyrics.selectionEnd, "end");
    lyrics.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
