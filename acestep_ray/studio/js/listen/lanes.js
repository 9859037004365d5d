// The takes of a song below each other on one time axis, so that they can be compared.
import { Range } from "../audio/range.js";
import { load, shapeOf } from "../audio/buffers.js";
import { activate, loaded, player, position, seek, setLoop, setRegion } from "../audio/player.js";
import { Wave } from "../audio/wave.js";
import { h, icon } from "../lib/dom.js";
import { exactClock } from "../lib/words.js";
import { Problem } from "../service/api.js";
import { partWords } from "../songs/task.js";
import { toolsOf } from "./actions.js";
import { playOrPause } from "./transport.js";

/** The lanes of the player's tracks: {element, tick(), remove()}. */
export function lanes() {
  const range = new Range(["Start of the marked part", "End of the marked part"], (from, to) =>
    setRegion([from, to]),
  );
  const rows = player.value.tracks.map((track, index) => lane(track, index, range));
  const region = h("div", { class: "region" });
  const element = h(
    "div",
    { class: "lanes" },
    range.element,
    rows.map((row) => row.element),
    region,
  );
  let length = 0;
  let described = "";
  const unfollow = player.on(() => update());

  function update() {
    const { active, duration, region: marked, playing } = player.value;
    if (duration && duration !== length) {
      length = duration;
      range.axis = duration;
      rows.forEach((row) => row.draw(duration));
    }
    range.set(...(marked ?? [null, null]));
    rows.forEach((row, index) => row.update(index === active, playing));
    describe(marked);
    tick();
  }

  function describe(marked) {
    const text = marked ? marked.join() : "";
    const looping = player.value.loop;
    if (text + looping === described) return;
    described = text + looping;
    if (!marked) {
      const keys = h("span", { class: "keys" }, ", or press [ and ] while it plays");
      region.replaceChildren(h("span", {}, "Drag over a waveform to mark a part", keys, "."));
      return;
    }
    const [from, to] = marked;
    region.replaceChildren(
      h("span", {}, `Marked: ${exactClock(from)} to ${exactClock(to)}`),
      h(
        "button",
        {
          type: "button",
          class: "quiet",
          "aria-pressed": String(looping),
          onclick: () => setLoop(!looping),
        },
        icon("loop"),
        looping ? "Looping" : "Loop it",
      ),
      h("button", { type: "button", class: "quiet", onclick: () => setRegion(null) }, "Clear"),
    );
  }

  function tick() {
    if (!length) return;
    const at = position() / length;
    rows.forEach((row) => row.move(at));
  }

  function remove() {
    unfollow();
    rows.forEach((row) => row.remove());
  }

  return { element, tick, remove };
}

function lane(track, index, range) {
  const made = h("div", { class: "made", hidden: true });
  const wave = new Wave(made, h("div", { class: "head" }));
  range.over(wave);
  const button = h(
    "button",
    {
      type: "button",
      class: "switch",
      "aria-label": `${index + 1}, listen to ${track.name}`,
      "aria-pressed": "false",
      onclick: () => hear(index),
    },
    String(index + 1),
  );
  const tools = h("div", { class: "lane-tools" });
  const name = h(
    "p",
    { class: "lane-name", dir: "auto" },
    track.name,
    track.seed === undefined ? "" : h("span", {}, ` · seed ${track.seed}`),
    track.part ? h("span", { class: "part" }, ` · new: ${partWords(track.part)}`) : "",
  );
  const element = h(
    "div",
    {
      class: "lane",
      style: { "--take": `var(--take-${(index % 8) + 1})` },
      data: { take: String(index + 1) },
    },
    button,
    wave.element,
    h("div", { class: "lane-foot" }, name, tools),
  );
  wave.element.addEventListener("pointerdown", (event) => {
    range.drag(event, wave.element, (time) => {
      void activate(index);
      seek(time);
    });
  });
  tools.replaceChildren(...toolsOf(track));
  const read = () => {
    wave.say("Loading");
    load(track.url).then(
      ({ duration }) => loaded(track, duration),
      (error) => wave.say(error.message, error instanceof Problem && error.passes && again),
    );
  };
  const again = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onpointerdown: (event) => event.stopPropagation(),
      onclick: read,
    },
    "Try again",
  );
  read();

  return {
    element,
    draw(length) {
      const shape = shapeOf(track.url);
      if (!shape) return;
      wave.show(shape.peaks, Math.min(1, shape.duration / length));
      made.hidden = !track.part;
      const [from, to] = track.part ?? [];
      made.style.setProperty("--from", from / length);
      made.style.setProperty("--to", Math.min(to ?? Infinity, shape.duration) / length);
    },
    update(active, playing) {
      if (active) element.dataset.active = "";
      else delete element.dataset.active;
      button.setAttribute("aria-pressed", String(active));
      element.classList.toggle("playing", active && playing);
      if (track.duration && wave.peaks === null) this.draw(player.value.duration);
    },
    move(at) {
      wave.at = Math.min(1, at);
    },
    remove: () => wave.remove(),
  };
}

/** Lets a take be heard: at the same moment if one plays, else from the playhead. */
async function hear(index) {
  await activate(index);
  if (!player.value.playing) await playOrPause();
}
