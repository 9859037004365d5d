// The browser's database: what was asked for in this browser, kept also when the service has
// removed the song. Without one (a private window), records last as long as the page.
import { base } from "../service/base.js";

const STORE = "songs";
const memory = new Map();
let opened = null;

function database() {
  opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open(`studio ${base.pathname}`, 1);
      request.onupgradeneeded = () =>
        request.result.createObjectStore(STORE, { keyPath: "job_id" });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null);
      request.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opened;
}

async function run(mode, work) {
  const db = await database();
  if (!db) return undefined;
  return new Promise((resolve) => {
    const transaction = db.transaction(STORE, mode);
    const request = work(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => resolve(undefined);
  });
}

export async function all() {
  return (await run("readonly", (store) => store.getAll())) ?? [...memory.values()];
}

export async function get(id) {
  return (await run("readonly", (store) => store.get(id))) ?? memory.get(id) ?? null;
}

export async function put(record) {
  memory.set(record.job_id, record);
  await run("readwrite", (store) => store.put(record));
}

export async function remove(id) {
  memory.delete(id);
  await run("readwrite", (store) => store.delete(id));
}
