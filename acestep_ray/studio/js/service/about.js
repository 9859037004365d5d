// What the service is and can do: its engines, models and limits.
import { signal } from "../lib/signal.js";
import { getJson } from "./api.js";
import { key } from "./key.js";

/** {health, models, adapters, stats}; each null until it is known. */
export const about = signal({ health: null, models: null, adapters: null, stats: null });

const STARTING_MS = 2000;
const USUAL_MS = 30000;

/** Asks again until the engines are up, then now and then. */
export async function watchService() {
  let wake = () => {};
  key.on(() => wake());
  for (;;) {
    await look();
    const pause = about.value.models?.decoders.length ? USUAL_MS : STARTING_MS;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

export async function look() {
  const [health, models, adapters, stats] = await Promise.all(
    ["health", "v1/models", "v1/adapters", "v1/stats"].map((path) =>
      getJson(path).catch(() => null),
    ),
  );
  const before = about.value;
  about.set({
    health: health ?? before.health,
    models: models ?? before.models,
    adapters: adapters ?? before.adapters,
    stats: stats ?? before.stats,
  });
}

/** The decoder of this name, or the default one; null before any is up. */
export function decoderOf(name) {
  const decoders = about.value.models?.decoders ?? [];
  return decoders.find((one) => one.name === name) ?? decoders[0] ?? null;
}

export const hasLm = () => Boolean(about.value.models?.planners.length);
