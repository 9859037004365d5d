// Songs to begin with, for those who have none yet.
import { $, h } from "../lib/dom.js";
import { showView } from "../views.js";
import { fill } from "../write/form.js";
import { unwritten } from "../write/written.js";

const IDEAS = {
  "Rainy lo-fi": {
    caption:
      "lo-fi hip hop, dusty drums, warm electric piano, vinyl crackle, rain outside, relaxed",
    bpm: "82",
    key_scale: "A minor",
    lyrics: "",
  },
  "Folk waltz": {
    caption:
      "tender folk waltz, fingerpicked acoustic guitar, upright bass, a low female voice, close and warm",
    time_signature: "3",
    lyrics:
      "[Verse]\nThe lamps along the harbour wall are burning one by one\nYou hum the tune my mother hummed before the day was done\n\n[Chorus]\nOh, turn with me, turn with me, slowly on the floor\nThe night is only starting and the sea is at the door",
  },
  "Night drive": {
    caption:
      "synthwave, driving analog bass, gated drums, glowing pads, soaring lead, neon city at night",
    bpm: "108",
    key_scale: "F# minor",
    lyrics: "",
  },
  "Brass party": {
    caption:
      "funk with a big brass section, slap bass, wah guitar, tight drums, joyful crowd, bright",
    bpm: "118",
    lyrics: "",
  },
};

export function startIdeas() {
  const buttons = Object.entries(IDEAS).map(([name, idea]) => {
    const use = () => {
      fill({
        ...unwritten(),
        task_type: "text2music",
        mode: "write",
        bpm: "",
        key_scale: "",
        time_signature: "",
        ...idea,
      });
      showView("write");
      $("#create").focus();
    };
    return h("button", { type: "button", class: "quiet", onclick: use }, name);
  });
  $("#ideas").replaceChildren(...buttons);
}
