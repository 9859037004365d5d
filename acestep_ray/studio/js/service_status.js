// How the service is: in a word at the top, in whole in a dialog; and the question for the key.
import { announce, open } from "./lib/dialog.js";
import { $, h, setText } from "./lib/dom.js";
import { clock, many } from "./lib/words.js";
import { about } from "./service/about.js";
import { locked } from "./service/api.js";
import { at } from "./service/base.js";
import { link } from "./service/follow.js";
import { isKept, key, setKey } from "./service/key.js";

export function startStatus() {
  about.on(show);
  link.on(show);
  locked.on((why) => {
    show();
    if (why && !$("dialog[open]")) askForKey();
  });
  key.on(show);
  $("#service").addEventListener("click", () => (locked.value ? askForKey() : describe()));
  $("#key-button").addEventListener("click", () => askForKey());
}

function state() {
  const { health, models, stats } = about.value;
  if (locked.value) return ["locked", "Locked"];
  if (link.value === "lost") return ["lost", "No connection, trying again"];
  if (!models) return ["starting", "Connecting"];
  if (!models.decoders.length) return ["starting", "The engines are starting"];
  const waiting = stats?.queued ? `, ${many(stats.queued, "song")} waiting` : "";
  const slow = link.value === "polling" ? ", without live events" : "";
  return health?.mock
    ? ["mock", `Mock engines${waiting}${slow}`]
    : ["ready", `Ready${waiting}${slow}`];
}

function show() {
  const [name, text] = state();
  const before = $("#service").dataset.state;
  $("#service").dataset.state = name;
  setText($("#service-text"), text);
  $("#key-button").hidden = !key.value && !locked.value;
  $("#key-button").classList.toggle("ask", Boolean(locked.value));
  setText($("#key-text"), locked.value ? "Enter the key" : "API key");
  $("#key-text").classList.toggle("sr", !locked.value);
  if (before !== name && (name === "lost" || before === "lost")) announce(text);
}

function describe() {
  const { health, models } = about.value;
  const rows = [];
  const row = (name, ...text) =>
    rows.push(h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, text)));
  row("Service", `acestep-ray ${health?.version ?? ""}`);
  for (const one of models?.decoders ?? []) {
    const cannot = one.ignores.filter((name) => name !== "use_adg");
    row(
      "Model",
      `${one.name}${one.mock ? " (mock: a synthesiser, no model)" : ""} on ${one.device}, ${one.recommended_steps} steps. It does ${one.tasks.join(", ")}.`,
      cannot.length ? ` It ignores ${cannot.join(", ")}.` : "",
    );
  }
  if (!models?.decoders.length) row("Model", "None is up yet.");
  for (const one of models?.planners ?? [])
    row("Language model", `${one.name}${one.mock ? " (mock)" : ""}: ${one.state}`);
  if (!models?.planners.length)
    row("Language model", "None: songs cannot be planned, described or improved.");
  if (models)
    row(
      "Limits",
      `Takes of up to ${clock(models.limits.duration)}, ${many(models.limits.batch_size, "take")} a song, files up to ${Math.round(models.limits.upload_bytes / 1e6)} MB, ${many(models.limits.queue, "song")} in the queue.`,
    );
  const docs = { href: at("docs").href, target: "_blank", rel: "noopener" };
  row("API", h("a", docs, "every route and field"));
  open("About this service", h("table", {}, h("tbody", {}, rows)));
}

let afterwards = null; // what the key is asked for

/** Asks for the key; `then` is called when it was entered. */
export function askForKey(then = null) {
  afterwards = then ?? afterwards;
  if ($("#api-key")) return;
  const input = h("input", {
    type: "password",
    id: "api-key",
    autocomplete: "off",
    "aria-describedby": "api-key-error",
  });
  input.value = key.value;
  const keep = h("input", { type: "checkbox", id: "keep-key" });
  keep.checked = isKept();
  const error = h(
    "p",
    { class: "error", id: "api-key-error", "aria-live": "assertive" },
    locked.value === "wrong" ? "The service does not accept this key." : "",
  );
  if (locked.value === "wrong") input.setAttribute("aria-invalid", "true");
  input.addEventListener("input", () => {
    setText(error, "");
    input.removeAttribute("aria-invalid");
  });
  const formElement = h(
    "form",
    {},
    h("p", {}, "This service needs an API key. Whoever runs it has it."),
    h("div", { class: "field" }, h("label", { for: "api-key" }, "API key"), input, error),
    h(
      "label",
      { class: "check" },
      keep,
      h("span", {}, "Keep it in this browser. Otherwise it is forgotten with this tab."),
    ),
    h("div", { class: "row" }, h("button", { type: "submit", class: "primary" }, "Use it")),
  );
  const dialog = open("API key", formElement);
  // Another tab may be given the key meanwhile.
  const wasLocked = locked.value;
  const unfollow = locked.on((why) => wasLocked && !why && dialog.close());
  formElement.addEventListener("submit", (event) => {
    event.preventDefault();
    const entered = input.value.trim();
    if (!entered) {
      setText(error, "Enter the key.");
      input.setAttribute("aria-invalid", "true");
      input.focus();
      return;
    }
    const next = afterwards;
    dialog.close();
    locked.set("");
    setKey(entered, keep.checked);
    next?.();
  });
  dialog.addEventListener("close", () => {
    unfollow();
    afterwards = null;
  });
  input.focus();
}
