// The API key: in the memory of this tab, or in the browser if its owner wants that.
import { signal } from "../lib/signal.js";
import * as storage from "../lib/storage.js";

const NAME = "key";

/** The key that is sent; empty if none is. */
export const key = signal(storage.read(NAME, "") || tabKey());

export function setKey(text, keep) {
  if (keep && text) storage.write(NAME, text);
  else storage.remove(NAME);
  try {
    sessionStorage.setItem(NAME, text);
  } catch {
    // Then it lasts until the page is loaded again.
  }
  key.set(text);
}

// Another tab of this browser was given the key, to keep it.
storage.onOther(NAME, (kept) => kept && !key.value && key.set(kept));

export const isKept = () => Boolean(storage.read(NAME, ""));

function tabKey() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}
