// On a phone one part of the page is shown at a time.
import { $, $$ } from "./lib/dom.js";

export function startViews() {
  for (const button of $$(".views button"))
    button.addEventListener("click", () => showView(button.dataset.view));
}

export function showView(name) {
  $("#main").dataset.view = name;
  for (const button of $$(".views button")) {
    if (button.dataset.view === name) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

/** A number at a part's name: how many songs are being made. */
export function badge(name, count) {
  const button = $(`.views [data-view="${name}"]`);
  let mark = $(".badge", button);
  if (!count) {
    mark?.remove();
    return;
  }
  if (!mark) {
    mark = document.createElement("span");
    mark.className = "badge";
    button.append(mark);
  }
  mark.textContent = String(count);
}
