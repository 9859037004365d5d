// Elements of the page: find them, make them. Nothing is ever written as HTML.
const SVG = "http://www.w3.org/2000/svg";

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element. Of `properties`, functions are listeners ("onclick"), "data" and "style" are objects,
 * the others attributes; one that is null or false is left out. Children are nodes or texts. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== false));
  return element;
}

/** One of the symbols at the top of index.html. Hidden from screen readers: it needs a text beside. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A text for screen readers only. */
export const sr = (text) => h("span", { class: "sr" }, text);

/** Sets a text only if it is another one, so that nothing is announced or laid out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets a slider's value, and how much of its track is filled. */
export function setRange(input, value) {
  input.value = String(value);
  const { min, max } = input;
  input.style.setProperty("--share", (input.value - min) / (max - min || 1));
}

/** Runs `work` once, `pause` milliseconds after the last call. */
export function debounce(work, pause) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(work, pause, ...values);
  };
}

/** Runs `work` now, and at most once in `pause` milliseconds after that. */
export function throttle(work, pause) {
  let timer = 0;
  let again = false;
  const run = () => {
    if (timer) {
      again = true;
      return;
    }
    work();
    timer = setTimeout(() => {
      timer = 0;
      if (again) {
        again = false;
        run();
      }
    }, pause);
  };
  return run;
}
