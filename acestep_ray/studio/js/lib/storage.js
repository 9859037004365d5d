// localStorage with the names of this service, which may share its host with others; without
// localStorage (a private window), values last as long as the page.
import { base } from "../service/base.js";

const memory = new Map();
const full = (name) => `studio ${base.pathname} ${name}`;

export function read(name, otherwise = null) {
  try {
    const text = localStorage.getItem(full(name)) ?? memory.get(name);
    return text === null || text === undefined ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

export function write(name, value) {
  const text = JSON.stringify(value);
  memory.set(name, text);
  try {
    localStorage.setItem(full(name), text);
  } catch {
    // It lasts as long as the page.
  }
}

/** Calls the listener with the value that another tab has written or, with null, removed. */
export function onOther(name, listener) {
  addEventListener("storage", (event) => event.key === full(name) && listener(read(name)));
}

export function remove(name) {
  memory.delete(name);
  try {
    localStorage.removeItem(full(name));
  } catch {
    // There was nothing.
  }
}

/** A value of this tab, which a reload keeps and other tabs do not have; null if there is none. */
export function readForTab(name) {
  try {
    return JSON.parse(sessionStorage.getItem(full(name)));
  } catch {
    return null;
  }
}

export function writeForTab(name, value) {
  try {
    sessionStorage.setItem(full(name), JSON.stringify(value));
  } catch {
    // A reload then has what was written last in any tab.
  }
}
