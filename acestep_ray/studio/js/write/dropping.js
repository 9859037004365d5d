// A file that is dropped beside the places for files: the browser would show it instead of the page.
import { toast } from "../lib/dialog.js";
import { $ } from "../lib/dom.js";
import { showView } from "../views.js";
import { hasFiles, whyRefused } from "./audio_input.js";
import { audioInputs, fill, values } from "./form.js";

export function startDropping() {
  const dragged = (now) => document.body.toggleAttribute("data-dragged", now);
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    dragged(true);
    if ($("dialog[open]")) event.dataTransfer.dropEffect = "none";
  });
  document.addEventListener("dragleave", (event) => !event.relatedTarget && dragged(false));
  document.addEventListener("drop", (event) => {
    dragged(false);
    if (event.defaultPrevented || !hasFiles(event)) return; // else it is in its place, or a text
    event.preventDefault();
    if (!$("dialog[open]")) void use(event.dataTransfer.files[0]);
  });
}

/** The file is the source, if the task has one; a new song becomes a cover of it, unless the file is
 * refused. */
async function use(file) {
  if (!file) return;
  const why = await whyRefused(file);
  showView("write");
  const { task_type: task } = values();
  const cover = $("#tasks input[value=cover]");
  if (task === "text2music" && why) {
    toast(why);
    return;
  }
  if (task === "text2music" && !cover.disabled) {
    fill({ task_type: "cover" });
    toast("The file is the source of a cover now.", "Use it as the reference", () => {
      audioInputs().source.clear();
      fill({ task_type: "text2music" });
      $("#reference-card").open = true;
      audioInputs().reference.setFile(file);
    });
  }
  audioInputs()[task === "text2music" && cover.disabled ? "reference" : "source"].setFile(file);
}
