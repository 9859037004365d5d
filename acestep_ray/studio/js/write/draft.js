// What is in the form is kept, so that nothing that was written is lost: for this tab, and for the
// next one that is opened.
import { debounce } from "../lib/dom.js";
import * as storage from "../lib/storage.js";
import { fill, values } from "./form.js";

const NAME = "draft";

function keepNow() {
  storage.write(NAME, values());
  storage.writeForTab(NAME, values());
}
export const keepDraft = debounce(keepNow, 300);
addEventListener("pagehide", keepNow);

/** Fills the form with what this tab had before a reload, or else with what was written last in any.
 * Returns whether there was anything. */
export function readDraft() {
  const draft = storage.readForTab(NAME) ?? storage.read(NAME);
  if (draft) fill(draft);
  return Boolean(draft);
}
