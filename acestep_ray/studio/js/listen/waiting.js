// A song that is made: how far it is.
import { announce } from "../lib/dialog.js";
import { $, h, setText } from "../lib/dom.js";
import { many } from "../lib/words.js";
import { hasEnded, job } from "../service/jobs.js";
import { record } from "../songs/own.js";
import { button, chipsOf, head, notes } from "./details.js";
import { cancelJob } from "./ending.js";
import { progressOf } from "./progress.js";

/** Shows it; returns what shows how far it is now. */
export function waiting(one) {
  const stage = h("p", { class: "stage" });
  const detail = h("p", { class: "detail" });
  const bar = h(
    "div",
    {
      class: "bar",
      role: "progressbar",
      "aria-label": "Progress",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    },
    h("i"),
  );
  const box = h(
    "div",
    { class: "waiting" },
    stage,
    bar,
    detail,
    h(
      "div",
      { class: "actions" },
      button("close", "Cancel", () => cancelJob(one.job_id), "cancel"),
      h("span", { class: "hint keys" }, "Esc leads here, Space then plays the song."),
    ),
  );
  const lyrics = record(one.job_id)?.values?.lyrics;
  const words = lyrics && h("div", { class: "facts" }, h("pre", { dir: "auto" }, lyrics));
  $("#deck").replaceChildren(head(one, chipsOf(one)), box, notes(one), words ?? "");
  let said = "";
  const wait = () => {
    const now = job(one.job_id);
    if (!now || hasEnded(now)) return;
    const progress = progressOf(now);
    setText(stage, progress.stage);
    setText(detail, progress.detail || " ");
    bar.toggleAttribute("data-idle", progress.share === null && !progress.lost);
    bar.toggleAttribute("data-lost", Boolean(progress.lost));
    if (progress.share === null) {
      bar.removeAttribute("aria-valuenow");
      if (!progress.lost) bar.style.removeProperty("--done");
    } else {
      bar.style.setProperty("--done", progress.share);
      bar.setAttribute("aria-valuenow", String(Math.round(progress.share * 100)));
    }
    if (said !== progress.stage) announce(progress.stage);
    said = progress.stage;
  };
  wait();
  return wait;
}

/** A song that became ready while another is heard does not interrupt it. */
export function ready(one, onlisten) {
  const listen = h("button", { type: "button", class: "primary", onclick: onlisten }, "Listen");
  $("#deck").replaceChildren(
    head(one, chipsOf(one)),
    h(
      "div",
      { class: "waiting" },
      h("p", { class: "stage" }, `${many(one.result.audio_paths.length, "take")} ready`),
      h("div", { class: "actions" }, listen),
    ),
  );
}
