// Requests to the service, and what went wrong with them as one kind of error.
import { signal } from "../lib/signal.js";
import { at } from "./base.js";
import { key } from "./key.js";

/** Why the key is asked for: "" while it is not, "missing" or "wrong". */
export const locked = signal("");
/** Seconds by which the service's clock is ahead of the browser's. */
let ahead = 0;

export const serviceTime = () => Date.now() / 1000 + ahead;

/** A response that is no success. `status` is 0 if there was no response. */
export class Problem extends Error {
  constructor(status, code, detail, errors = [], retryAfter = 0) {
    super(detail);
    Object.assign(this, { status, code, errors, retryAfter });
  }

  /** Whether the service did not answer, or is not ready to: the same request can be sent again. */
  get waits() {
    return this.status === 0 || this.status === 503;
  }

  /** Whether the same request may succeed later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

export const UNREACHABLE = "The service cannot be reached.";
export const CUT = "The answer of the service broke off.";
const KEY_PROBLEMS = {
  missing_api_key: "This service needs an API key.",
  invalid_api_key: "The service does not accept this API key.",
};

/** Sends a request with the key. Throws Problem, or AbortError if `options.signal` ended it. */
export async function send(path, options = {}) {
  const headers = new Headers(options.headers);
  const sent = key.value;
  if (sent) headers.set("Authorization", `Bearer ${sent}`);
  let response;
  try {
    response = await fetch(at(path), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", UNREACHABLE);
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (date) ahead = date / 1000 + 0.5 - Date.now() / 1000;
  if (response.ok) {
    if (path.toString().includes("v1/")) locked.set("");
    return response;
  }
  const text = await response.text().catch(() => "");
  throw problemOf(response.status, text, response.headers.get("Retry-After"), sent);
}

/** The object in a response. Throws Problem if only a part of it came, or AbortError. */
export async function jsonOf(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "cut", CUT);
  }
}

export const getJson = async (path, options) => jsonOf(await send(path, options));

export const postJson = async (path, body, options = {}) =>
  getJson(path, {
    ...options,
    method: "POST",
    headers: { "Content-Type": "application/json", ...options.headers },
    body: JSON.stringify(body),
  });

/** The problem in a response. `sent`: the key that was sent with the request. If the service itself did
 * not answer, but a proxy in front of it that does not reach it (also with 404), the status is 503. */
export function problemOf(status, text, retryAfter, sent = key.value) {
  let view = {};
  try {
    view = JSON.parse(text) ?? {};
  } catch {
    // Of a proxy in front of the service, which answers in plain text while it starts.
  }
  const away = !view.code && (status === 404 || status >= 500);
  if (status === 401 && sent === key.value) locked.set(sent ? "wrong" : "missing");
  return new Problem(
    away ? 503 : status,
    view.code ?? "",
    KEY_PROBLEMS[view.code] ??
      view.detail ??
      `The service answered with status ${status}${away ? "; it may be starting" : ""}.`,
    view.errors ?? [],
    Number(retryAfter) || 0,
  );
}
