// Dialogs, and short messages that go away.
import { $, h, icon, sr } from "./dom.js";

/** Opens a dialog with this title and these contents; it is removed when it is closed. */
export function open(title, ...contents) {
  const close = h(
    "button",
    { type: "button", class: "tool", style: { position: "absolute", top: "12px", right: "12px" } },
    icon("close"),
    sr("Close"),
  );
  const heading = h("h2", { id: "dialog-title" }, title);
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, heading, contents, close);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks a question; resolves to whether the answer was yes. */
export function confirm(title, text, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const act = h("button", { type: "button", class: "primary" }, yes);
    const no = h("button", { type: "button", class: "quiet" }, "No");
    const dialog = open(title, h("p", {}, text), h("div", { class: "row" }, no, act));
    no.addEventListener("click", () => dialog.close());
    act.addEventListener("click", () => {
      answer = true;
      dialog.close();
    });
    dialog.addEventListener("close", () => resolve(answer));
    act.focus();
  });
}

const SHOWN_MS = 6000;

/** A message, with something to do about it if there is anything. */
export function toast(text, label = "", action = null) {
  const message = h("div", { class: "toast", role: "status" }, h("span", { dir: "auto" }, text));
  const gone = () => message.remove();
  if (action) {
    const act = () => {
      gone();
      action();
    };
    message.append(h("button", { type: "button", onclick: act }, label));
  }
  message.append(
    h("button", { type: "button", class: "dismiss", onclick: gone }, icon("close"), sr("Dismiss")),
  );
  $("#toasts").append(message);
  let timer = setTimeout(gone, SHOWN_MS);
  message.addEventListener("pointerenter", () => clearTimeout(timer));
  message.addEventListener("focusin", () => clearTimeout(timer));
  message.addEventListener("pointerleave", () => {
    timer = setTimeout(gone, SHOWN_MS);
  });
}

/** Reads a text to users of screen readers. */
export function announce(text) {
  const announcer = $("#announcer");
  if (announcer.textContent !== text) announcer.textContent = text;
}
