// What is wrong with the form: at the fields that are meant, in words of the service.
import { $, h } from "../lib/dom.js";

/** Fields of a request that have another place on the page. */
const PLACES = {
  src_audio_path: "src_audio",
  src_job_id: "src_audio",
  src_take: "src_audio",
  reference_audio_path: "reference_audio",
  reference_job_id: "reference_audio",
  reference_take: "reference_audio",
  sample_mode: "sample_query",
  use_random_seed: "seed",
};

/** Names of the page where a field's own label is not what it is called. */
const LABELS = {
  task_type: "What to make",
  src_audio: "Source audio",
  reference_audio: "Reference audio",
};

const control = (field) => {
  const name = PLACES[field] ?? field;
  return document.getElementById(name) ?? $(`#song [name="${CSS.escape(name)}"]`);
};

/** What the page calls a field of the API; null if it has no such field. */
function labelOf(field) {
  const element = control(field);
  const name = element?.id || element?.name;
  const label = LABELS[name] ?? element?.labels?.[0]?.textContent.split(",")[0].trim();
  return label ? `“${label}”` : null;
}

/** A sentence of the service with the names that the page has for its fields. */
export const inPageWords = (text) =>
  text.replace(/\b[a-z0-9]+(_[a-z0-9]+)+\b/g, (name) => labelOf(name) ?? name);

/** Shows an error at its field. Returns the field's element, or null if the page has none. */
export function fieldError(field, text) {
  const element = control(field);
  if (!element || element.closest("[data-tasks][hidden], [data-mode][hidden]")) return null;
  const details = element.closest("details");
  if (details) details.open = true;
  const id = `${element.id || element.name}-error`;
  let message = document.getElementById(id);
  if (!message) {
    message = h("p", { class: "error", id });
    const place =
      element.closest(".drop") ?? element.closest(".field, fieldset, .check") ?? element;
    if (place.classList.contains("field")) place.append(message);
    else place.after(message);
    const described = element.getAttribute("aria-describedby");
    element.setAttribute("aria-describedby", described ? `${described} ${id}` : id);
  }
  message.textContent = text;
  element.setAttribute("aria-invalid", "true");
  return element;
}

/** Takes the error of a field away, if it has one. */
export function clearError(field) {
  const element = control(field);
  if (element?.getAttribute("aria-invalid") !== "true") return;
  element.removeAttribute("aria-invalid");
  const id = `${element.id || element.name}-error`;
  document.getElementById(id)?.remove();
  const rest = (element.getAttribute("aria-describedby") ?? "")
    .split(" ")
    .filter((one) => one !== id);
  if (rest.join("")) element.setAttribute("aria-describedby", rest.join(" "));
  else element.removeAttribute("aria-describedby");
}

/** Takes the errors of all fields away, and what the form says of them. */
export function clearFieldErrors() {
  for (const element of document.querySelectorAll("#song [aria-invalid]"))
    clearError(element.id || element.name);
  if (!$("#form-alert button")) formAlert("");
}

export function clearErrors() {
  clearFieldErrors();
  formAlert("");
}

/** A message about the whole form, with something to do about it if there is anything. */
export function formAlert(text, action = null) {
  const alert = $("#form-alert");
  alert.replaceChildren(text, ...(action ? [" ", action] : []));
  alert.hidden = !text;
}

/** The service's sentence; for a value that is not legal, what is legal, as people say it. */
function inWords(field, detail, legal) {
  if (!legal || !detail.startsWith(`${field} must be`)) return inPageWords(detail);
  return inPageWords(`This must be ${legal.replace(/,? or null.*$/, "")}.`);
}

/** Shows a problem where it belongs, and leads to the first wrong field. */
export function showProblem(problem) {
  const rest = [];
  let first = null;
  for (const { field, detail, legal } of problem.errors) {
    const element = fieldError(field, inWords(field, detail, legal));
    if (element) first ??= element;
    else rest.push(inPageWords(detail));
  }
  if (!problem.errors.length) rest.push(inPageWords(problem.message));
  const wrong = problem.errors.length;
  formAlert(
    rest.join(" ") || `${wrong === 1 ? "One field needs" : `${wrong} fields need`} another value.`,
  );
  if (first) focusOn(first);
}

/** A place for a file that holds one has its button to remove it instead. */
function focusOn(element) {
  const there = element.checkVisibility();
  (there ? element : $(".chosen button", element.closest(".drop")?.parentElement))?.focus();
}
