// Plays the takes of the deck in step and lets one of them be heard: all start at the same sample,
// and a switch is a change of loudness.
import { signal } from "../lib/signal.js";
import * as storage from "../lib/storage.js";
import { isLoaded, load, RATE } from "./buffers.js";

const LEAD = 0.03; // seconds between the call and the first sample, so that all start together
const FADE = 0.008;
const TICK_MS = 100;

/** Tracks: {url, title, name, colour, …}; `active` is heard. `region`: [from, to] or null. */
export const player = signal({
  tracks: [],
  active: 0,
  playing: false,
  loop: false,
  region: null,
  duration: 0,
});
/** The volume, 0 to 1. */
export const volume = signal(storage.read("volume", 1));

let context = null;
let master = null;
let sources = [];
let startedAt = 0;
let startedFrom = 0;
let timer = 0;

const state = () => player.value;
const change = (next) => player.set({ ...state(), ...next });

volume.on((level) => {
  storage.write("volume", level);
  if (master) master.gain.value = level;
});

/** Puts other tracks on the deck; stops what plays. */
export function setTracks(tracks, active = 0) {
  stop(0);
  change({ tracks, active, region: null, duration: lengthOf(tracks) });
}

/** Replaces the list without an interruption: the active track stays if it is still there. */
export function updateTracks(tracks) {
  const url = state().tracks[state().active]?.url.href;
  const active = Math.max(
    0,
    tracks.findIndex((one) => one.url.href === url),
  );
  const { playing } = state();
  const at = position();
  if (playing) stop(at);
  change({ tracks, active, duration: lengthOf(tracks) });
  if (playing) void play();
}

/** Called when a track was loaded, so that its length is known. */
export function loaded(track, duration) {
  track.duration = duration;
  change({ duration: lengthOf(state().tracks) });
  const index = state().tracks.indexOf(track);
  if (state().playing && index >= 0 && !sources[index]) void join(index);
}

const lengthOf = (tracks) => Math.max(0, ...tracks.map((one) => one.duration ?? 0));
const activeLength = () => state().tracks[state().active]?.duration ?? 0;

/** Where the playhead is, seconds. */
export function position() {
  if (!state().playing) return startedFrom;
  const now = startedFrom + Math.max(0, context.currentTime - startedAt);
  const [from, to] = loopOf() ?? [0, Infinity];
  return startedFrom < to && now >= to ? from + ((now - to) % (to - from)) : now;
}

/** What is repeated: the marked part, or all. Null: nothing. */
function loopOf() {
  if (!state().loop) return null;
  return state().region ?? [0, activeLength() || Infinity];
}

export const toggle = () => (state().playing ? stop(position()) : play());

export async function play() {
  const track = state().tracks[state().active];
  if (!track) return;
  context ??= new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
  if (!master) {
    master = context.createGain();
    master.gain.value = volume.value;
    master.connect(context.destination);
  }
  await Promise.all([context.resume(), load(track.url)]);
  if (state().tracks[state().active] !== track) return;
  const { region, loop } = state();
  const outside = region && loop && (startedFrom < region[0] || startedFrom >= region[1] - 0.01);
  if (outside) startedFrom = region[0];
  else if (startedFrom >= activeLength() - 0.02) startedFrom = 0;
  begin(startedFrom);
}

function begin(from) {
  silence();
  startedFrom = from;
  startedAt = context.currentTime + LEAD;
  change({ playing: true });
  state().tracks.forEach((track, index) => isLoaded(track.url) && void join(index));
  clearInterval(timer);
  timer = setInterval(watch, TICK_MS);
}

/** Starts one track at the place where the others are. */
async function join(index) {
  const track = state().tracks[index];
  const { buffer } = await load(track.url);
  if (!state().playing || state().tracks[index] !== track || sources[index]) return;
  const source = context.createBufferSource();
  const gain = context.createGain();
  source.buffer = buffer;
  gain.gain.value = index === state().active ? 1 : 0;
  source.connect(gain).connect(master);
  const loop = loopOf();
  if (loop && inStep(loop)) {
    source.loop = true;
    [source.loopStart, source.loopEnd] = loop;
  }
  const late = context.currentTime + 0.02 > startedAt;
  const start = late ? context.currentTime + LEAD : startedAt;
  const offset = late ? position() + LEAD : startedFrom;
  sources[index] = { source, gain };
  if (offset < buffer.duration) source.start(start, offset);
}

/** Whether every track reaches the end of the loop; otherwise `watch` starts them again together. */
const inStep = ([, to]) => state().tracks.every((one) => (one.duration ?? 0) >= to - 0.001);

function watch() {
  const loop = loopOf();
  const now = position();
  if (loop && !inStep(loop) && startedFrom + context.currentTime - startedAt >= loop[1])
    begin(loop[0]);
  else if (!loop && now >= activeLength()) stop(0);
}

function silence() {
  for (const one of sources) {
    try {
      one?.source.stop();
    } catch {
      // It was never started: the playhead is behind its end.
    }
    one?.gain.disconnect();
  }
  sources = [];
}

/** Stops; the playhead stays at `at`, seconds. */
export function stop(at) {
  clearInterval(timer);
  silence();
  startedFrom = at;
  if (state().playing) change({ playing: false });
  else change({});
}

/** Moves the playhead. */
export function seek(time) {
  const at = Math.min(Math.max(0, time), Math.max(0, state().duration - 0.01));
  if (state().playing) begin(at);
  else stop(at);
}

let wanted = -1; // the take that was chosen last, of which the samples may still come

/** Lets another take be heard, at the same moment; one that cannot be loaded is not. */
export async function activate(index) {
  const { tracks, active } = state();
  wanted = index;
  if (!tracks[index] || index === active) return;
  if (state().playing && !sources[index]) {
    try {
      const { duration } = await load(tracks[index].url);
      loaded(tracks[index], duration);
      await join(index);
    } catch {
      return; // Its lane says why.
    }
    if (wanted !== index || state().tracks !== tracks) return;
  }
  change({ active: index });
  const now = context?.currentTime ?? 0;
  sources.forEach((one, at) => one?.gain.gain.setTargetAtTime(at === index ? 1 : 0, now, FADE));
}

export function setRegion(region) {
  change({ region });
  restartIfLooping();
}

export function setLoop(loop) {
  const at = position();
  change({ loop });
  if (state().playing) begin(at);
}

function restartIfLooping() {
  if (!state().playing || !state().loop) return;
  const [from, to] = loopOf();
  const now = position();
  begin(now >= from && now < to ? now : from);
}
