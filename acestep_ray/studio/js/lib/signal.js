// A value that others follow.

/** `on` calls the listener with the value, now and after each change; it returns what ends that. */
export function signal(value) {
  const listeners = new Set();
  return {
    get value() {
      return value;
    },
    set(next) {
      if (next === value) return;
      value = next;
      callAll(listeners, value);
    },
    on(listener) {
      listeners.add(listener);
      listener(value);
      return () => listeners.delete(listener);
    },
  };
}

/** Calls every listener, also if one of them fails. */
export function callAll(listeners, ...values) {
  for (const listener of listeners) {
    try {
      listener(...values);
    } catch (error) {
      reportError(error);
    }
  }
}
