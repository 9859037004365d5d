// What is in the form is kept, so that nothing that was written is lost.
import { debounce } from "../lib/dom.js";
import * as storage from "../lib/storage.js";
import { fill, values } from "./form.js";

const NAME = "draft";

const keepNow = () => storage.write(NAME, values());
export const keepDraft = debounce(keepNow, 300);
addEventListener("pagehide", keepNow);

/** Fills the form with what an earlier visit left. Returns whether there was anything. */
export function readDraft() {
  const draft = storage.read(NAME);
  if (draft) fill(draft);
  return Boolean(draft);
}
