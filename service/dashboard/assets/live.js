// Client of the server-sent events, made with fetch because an EventSource cannot send a key. It reconnects by itself, after
// ever longer pauses while the service is away.

import { open } from "./api.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** Without an event for so long the connection is taken for dead; one comes every 4 seconds. */
const SILENCE_MS = 15_000;

/** Parser of an event stream: it calls onEvent(event, data) for each whole event, and keeps the rest. */
export function parser(onEvent) {
  let rest = "";
  return (text) => {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = {};
      for (const line of block.split("\n")) {
        const at = line.indexOf(":");
        if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).trimStart();
      }
      if (fields.data) onEvent(fields.event, JSON.parse(fields.data));
    }
  };
}

/**
 * Listen until the key is refused.
 * @param {{pulse: Function, lost: Function, refused: Function}} on pulse gets a pulse, lost the error while the service is
 *   away, refused the error of a refused key.
 * @returns {Function} stops listening.
 */
export function listen(on) {
  let pause = FIRST_PAUSE_MS;
  let ended = false;
  let abort = new AbortController();
  let timer;

  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), SILENCE_MS);
  };

  async function once() {
    abort = new AbortController();
    watch();
    const response = await open("/v1/events", { accept: "text/event-stream", signal: abort.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const feed = parser((event, data) => {
      watch();
      if (event === "pulse") {
        pause = FIRST_PAUSE_MS;
        on.pulse(data);
      } else if (event === "problem") on.lost({ status: 503, code: data.code, message: "The database does not answer." });
    });
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      feed(value);
    }
  }

  (async () => {
    while (!ended) {
      let error = { status: 0, code: "ended", message: "The connection ended." };
      try {
        await once();
      } catch (caught) {
        error = caught.name === "AbortError" ? { status: 0, code: "silent", message: "The service does not answer." } : caught;
      }
      clearTimeout(timer);
      if (ended) return;
      if (error.status === 401 || error.status === 403) {
        on.refused(error);
        return;
      }
      if (error.code !== "ended") on.lost(error);
      await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      if (error.code === "ended") pause = FIRST_PAUSE_MS;
    }
  })();

  return () => {
    ended = true;
    clearTimeout(timer);
    abort.abort();
  };
}
