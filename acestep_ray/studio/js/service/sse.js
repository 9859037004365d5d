// Server-sent events from a stream of bytes (https://html.spec.whatwg.org/multipage/server-sent-events.html).

/** Yields {event, data, id}; a heartbeat has an id and no data. `id` is the last one that came. */
export async function* eventsOf(body, beat = () => {}) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let id = "";
  let event = "";
  let data = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      beat();
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length || id) yield { event: event || "message", data: data.join("\n"), id };
          event = "";
          data = [];
          continue;
        }
        const colon = line.indexOf(":");
        const name = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (name === "data") data.push(text);
        else if (name === "event") event = text;
        else if (name === "id") id = text;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
