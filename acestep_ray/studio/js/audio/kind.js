// Files that are clearly no sound, by their first bytes. What is not recognised may be a kind of audio
// that this browser does not know and the service does.
export const READ = 4096; // bytes
const SIGNS = [
  ["a PDF", 0, "%PDF"],
  ["a picture", 0, "\x89PNG"],
  ["a picture", 0, "\xff\xd8\xff"],
  ["a picture", 0, "GIF8"],
  ["a picture", 8, "WEBP"],
  ["an archive or a document", 0, "PK\x03\x04"],
  ["an archive", 0, "Rar!"],
  ["an archive", 0, "7z\xbc\xaf"],
  ["an archive", 0, "\x1f\x8b"],
  ["a MIDI file: notes, but no sound", 0, "MThd"],
];

/** What a file is if it is no sound, such as "a text"; empty if it may be sound. */
export function noSound(buffer) {
  const bytes = new Uint8Array(buffer, 0, Math.min(READ, buffer.byteLength));
  if (!bytes.length) return "empty";
  const has = (at, sign) =>
    [...sign].every((one, index) => bytes[at + index] === one.charCodeAt(0));
  return SIGNS.find(([, at, sign]) => has(at, sign))?.[0] ?? (isText(bytes) ? "a text" : "");
}

/** Whether it is UTF-8 without control characters, which no audio file is. */
function isText(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return !/[\x00-\x08\x0e-\x1f\x7f]/.test(text);
  } catch {
    return false;
  }
}
