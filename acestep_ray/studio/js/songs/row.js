// A song in the list, and how it is. Songs of earlier days are asked for when they come into view.
import { h, icon, setText } from "../lib/dom.js";
import { when } from "../lib/words.js";
import { open, opened } from "../listen/deck.js";
import { shortly } from "../listen/progress.js";
import { locked } from "../service/api.js";
import { link } from "../service/follow.js";
import { job, refresh } from "../service/jobs.js";
import { key } from "../service/key.js";
import { record, titleOf } from "./own.js";
import { taskWords } from "./task.js";

const AT_ONCE = 4;

/** The row of a song: {element, update()}. */
export function rowOf(id) {
  const name = h("span", { class: "song-name", dir: "auto" });
  const state = h("span", { class: "song-state" });
  const date = h("span", { class: "song-date" });
  const task = h("span", { class: "task", hidden: true });
  const bar = h("div", { class: "bar", hidden: true }, h("i"));
  const heart = h("span", { class: "heart", hidden: true }, icon("heart"));
  const line = h("span", { class: "song-line" }, heart, task, state, date);
  const button = h(
    "button",
    { type: "button", class: "song-open", onclick: () => void open(id) },
    name,
    line,
    bar,
  );
  const element = h("li", { class: "song", data: { job: id } }, button);
  element.toggleAttribute("data-open", opened.value === id);

  function update() {
    const one = job(id);
    setText(name, titleOf(id));
    setText(state, stateOf(one));
    state.classList.toggle("bad", one?.status === "failed" && one.error_code !== "cancelled");
    setText(task, taskWords(id));
    task.hidden = !task.textContent;
    const created = one?.created_at ?? record(id)?.created_at;
    setText(date, created ? when(created) : "");
    heart.hidden = !record(id)?.liked?.length;
    const share = one?.status === "running" ? (one.progress?.fraction ?? null) : null;
    bar.hidden = one?.status !== "running" || link.value === "lost";
    bar.toggleAttribute("data-idle", share === null);
    if (share !== null) bar.style.setProperty("--done", share);
    else bar.style.removeProperty("--done");
  }
  update();
  if (!job(id)) unknown.observe(element);
  return { element, update };
}

function stateOf(one) {
  if (!one) return locked.value ? "locked" : "…";
  if (one.status === "gone") return "no longer stored";
  if (one.status === "failed") return one.error_code === "cancelled" ? "cancelled" : "failed";
  if (one.status !== "succeeded") return shortly(one);
  const takes = one.result?.audio_paths.length ?? one.takes;
  return takes ? `${takes} ${takes === 1 ? "take" : "takes"}` : "ready";
}

const queue = [];
const refused = new Set(); // what could not be asked for without the key
let asking = 0;
const unknown = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    unknown.unobserve(target);
    queue.push(target.dataset.job);
  }
  ask();
});

function ask() {
  while (asking < AT_ONCE && queue.length) {
    const id = queue.shift();
    if (job(id)) continue;
    asking++;
    refresh(id)
      .catch(({ status }) => status === 401 && refused.add(id))
      .finally(() => {
        asking--;
        ask();
      });
  }
}

key.on(() => {
  queue.push(...refused);
  refused.clear();
  ask();
});
