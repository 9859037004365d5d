// Numbers, times and lengths as people read them.

/** 75.4 as "1:15". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const minutes = String(Math.floor(whole / 60));
  return `${minutes}:${String(whole % 60).padStart(2, "0")}`;
}

/** 75.4 as "1:15.4". */
export function exactClock(seconds) {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

const SPACE = "\u00a0"; // a number stays on a line with its unit

/** A time span that is an estimate: "a few seconds", "about 40 s", "about 3 min". */
export function about(seconds) {
  if (seconds < 3) return "a few seconds";
  if (seconds < 20) return `about ${Math.round(seconds)}${SPACE}s`;
  if (seconds < 90) return `about ${Math.round(seconds / 5) * 5}${SPACE}s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)}${SPACE}min`;
  return `about ${(seconds / 3600).toFixed(1)}${SPACE}h`;
}

const DAY = 86400;
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const times = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** Epoch seconds as "14:05" today, "Tue 14:05" would be too long for a list: "4 Mar" before. */
export function when(epoch) {
  const date = new Date(epoch * 1000);
  const today = new Date().toDateString() === date.toDateString();
  return today ? times.format(date) : days.format(date);
}

/** Epoch seconds as "4 Mar 2026, 14:05". */
export function fully(epoch) {
  const date = new Date(epoch * 1000);
  return `${dates.format(date)}, ${times.format(date)}`;
}

/** How long something is still kept: "6 days", "5 hours". */
export function remaining(seconds) {
  if (seconds >= 1.5 * DAY) return `${Math.round(seconds / DAY)} days`;
  if (seconds >= 7200) return `${Math.floor(seconds / 3600)} hours`;
  return `${Math.max(1, Math.floor(seconds / 60))} minutes`;
}

/** 3, "song" as "3 songs". */
export const many = (count, word) => `${count.toLocaleString()} ${word}${count === 1 ? "" : "s"}`;

/** A text as part of a file name. */
export const fileName = (text) =>
  text
    .normalize("NFC")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 60) || "song";
