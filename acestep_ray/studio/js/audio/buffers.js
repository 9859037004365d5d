// Takes and files as sound in memory. Whole takes are decoded, so that several can play in step and
// one can be heard instead of another from one sample to the next.
import { Problem, send } from "../service/api.js";
import { peaksOf } from "./peaks.js";

/** The rate of the service's takes, Hz. */
export const RATE = 48000;
const PER_GB = 1024 ** 3;
/** Bytes of decoded sound that are kept: a ten-minute take is a quarter of a gigabyte. */
const BUDGET = ((navigator.deviceMemory ?? 4) >= 4 ? 0.9 : 0.3) * PER_GB;

const buffers = new Map(); // url -> AudioBuffer, least recently used first
const shapes = new Map(); // url -> {peaks, duration}
const loading = new Map();
/** Takes that are read at a time: a long one needs much memory while it is decoded. */
const AT_ONCE = 2;
let reading = 0;
const turns = [];

class Unplayable extends Error {}

/** Decodes a file's bytes. Throws Unplayable if this browser cannot. */
export async function decode(bytes) {
  const context = new OfflineAudioContext(2, 1, RATE);
  try {
    return await context.decodeAudioData(bytes);
  } catch {
    throw new Unplayable("This browser cannot play this kind of file.");
  }
}

/** The sound at an address of the service: {buffer, peaks, duration}. Throws Problem, Unplayable. */
export function load(url) {
  const href = url.href;
  if (buffers.has(href)) {
    touch(href);
    return Promise.resolve({ buffer: buffers.get(href), ...shapes.get(href) });
  }
  if (!loading.has(href)) {
    const work = inTurn(() => fetchAndDecode(url)).finally(() => loading.delete(href));
    loading.set(href, work);
  }
  return loading.get(href);
}

/** What is known of a sound without its samples; null before it was loaded once. */
export const shapeOf = (url) => shapes.get(url.href) ?? null;
export const isLoaded = (url) => buffers.has(url.href);

async function inTurn(work) {
  if (reading >= AT_ONCE) await new Promise((resolve) => turns.push(resolve));
  reading++;
  try {
    return await work();
  } finally {
    reading--;
    turns.shift()?.();
  }
}

async function fetchTake(url) {
  try {
    return await send(url);
  } catch (problem) {
    if (problem.status !== 0) throw problem;
    throw new Problem(
      0,
      problem.code,
      "The take could not be fetched. (An object store that takes are fetched from must allow this page: CORS.)",
    );
  }
}

async function fetchAndDecode(url) {
  const response = await fetchTake(url);
  let bytes;
  try {
    bytes = await response.arrayBuffer();
  } catch {
    throw new Problem(0, "cut", "The take broke off on its way.");
  }
  const buffer = await decode(bytes);
  const shape = { peaks: peaksOf(buffer), duration: buffer.duration };
  shapes.set(url.href, shape);
  buffers.set(url.href, buffer);
  forgetOld();
  return { buffer, ...shape };
}

function touch(href) {
  const buffer = buffers.get(href);
  buffers.delete(href);
  buffers.set(href, buffer);
}

const bytesOf = (buffer) => buffer.length * buffer.numberOfChannels * 4;

function forgetOld() {
  let total = [...buffers.values()].reduce((sum, one) => sum + bytesOf(one), 0);
  for (const [href, buffer] of buffers) {
    if (total <= BUDGET || buffers.size === 1) return;
    buffers.delete(href);
    total -= bytesOf(buffer);
  }
}
