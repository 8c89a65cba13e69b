// Sends readings to the service, from Node.js 18 or newer, without a package.
//
//     ENERGY_URL=http://127.0.0.1:3000 ENERGY_KEY=<keyId>.<secret> node client.mjs waiting.ndjson < readings
//
// A line of standard input is a reading as a JSON object; without a `timestamp` it was taken now. Readings wait in the
// file until the service has answered for them. At the end of the input the program ends when none waits.

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const MOST = 10_000; // readings that wait; for another one, the oldest is dropped
const BATCH = 500; // readings in a request
const FIRST_MS = 1_000; // wait before the second attempt; it doubles
const LONGEST_MS = 60_000; // up to this

const now = (base) => base + performance.now();

class Client {
  base = null; // time of the server less the monotonic clock, ms; null before the first answer
  lastMs = 0; // time of the newest reading
  sent = 0; // readings in the body under way: a retry sends the same
  batch = BATCH;
  failures = 0;
  wake = () => {};

  constructor(url, key, file) {
    Object.assign(this, { url, key, file });
    // what follows the last end of a line is half a line: the program was killed as it wrote it
    this.lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
    this.save();
  }

  /** Keep a reading until it is sent. */
  add(reading) {
    let line = JSON.stringify(reading);
    // before the first answer the right time is unknown: the own clock's stands before the reading until then
    line = this.base === null ? `${Date.now()} ${line}` : this.stamp(line, now(this.base));
    if (this.lines.length === MOST) {
      console.error("the buffer is full, dropped", ...this.lines.splice(this.sent, 1));
      this.save();
    }
    this.lines.push(line);
    write(this.file, "a", [line]);
    this.wake();
  }

  /** Give a reading its time, once and for all. No two have the same. */
  stamp(line, atMs) {
    const reading = JSON.parse(line);
    if (!("timestamp" in reading)) {
      this.lastMs = Math.max(Math.floor(atMs), this.lastMs + 1);
      reading.timestamp = new Date(this.lastMs).toISOString();
    }
    return JSON.stringify(reading);
  }

  /** Set the clock by the `Date` of an answer: whole seconds, so smaller differences say nothing. */
  learnTime(date) {
    const base = Date.parse(date) + 500 - performance.now();
    if (Number.isNaN(base) || (this.base !== null && Math.abs(base - this.base) < 2_000)) return;
    this.base = base;
    const ahead = Date.now() - now(base);
    this.lines = this.lines.map((line) => {
      const [, own, rest] = /^(\d+) (.*)$/.exec(line) ?? [];
      return own ? this.stamp(rest, Number(own) - ahead) : line;
    });
    this.save();
  }

  /** Replace the file in one step: a kill leaves the old one or the new one. */
  save() {
    write(`${this.file}.new`, "w", this.lines);
    renameSync(`${this.file}.new`, this.file);
  }

  /** Send what waits; return how long to wait before the next request, ms. */
  async exchange() {
    if (this.base === null) {
      // nothing is sent before its time is right
      const { retryAfterMs } = await this.request("HEAD", "/health/live");
      return this.base === null ? this.backoff(retryAfterMs) : 0;
    }
    this.sent ||= Math.min(this.lines.length, this.batch);
    const lines = this.lines.slice(0, this.sent);
    const { status, text, retryAfterMs } = await this.request("POST", "/v1/ingest/batch", lines.join("\n"));
    if (status === 413 && this.sent > 1) {
      this.batch = this.sent = Math.floor(this.sent / 2);
      return 0;
    }
    if ([201, 207, 422].includes(status)) {
      // each reading is stored, or rejected for good
      if (status !== 201) console.error("rejected, by index from 0:", text, "of", lines);
    } else if ([400, 413, 415, 431].includes(status)) {
      console.error("dropped", status, text, lines); // the same again would be answered the same
    } else {
      // 408, 429, 5xx and no answer; and 401, 403, 404: readings wait until somebody mends key or address
      console.error("kept", status, text);
      return this.backoff([401, 403, 404].includes(status) ? LONGEST_MS : retryAfterMs);
    }
    this.lines.splice(0, this.sent);
    this.sent = this.failures = 0;
    this.save();
    return 0;
  }

  backoff(atLeastMs) {
    const wait = atLeastMs || Math.min(LONGEST_MS, FIRST_MS * 2 ** this.failures);
    this.failures += 1;
    return wait * (1 + Math.random() / 2); // not all devices at once
  }

  /** The status, text and `Retry-After` of an answer; status 0 for none. */
  async request(method, path, body) {
    const headers = { "Content-Type": "application/x-ndjson" };
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    try {
      const answer = await fetch(this.url + path, { method, body, headers, signal: AbortSignal.timeout(30_000) });
      const text = await answer.text();
      this.learnTime(answer.headers.get("date"));
      const retryAfterMs = Number(answer.headers.get("retry-after")) * 1000 || 0;
      return { status: answer.status, text, retryAfterMs };
    } catch (error) {
      return { status: 0, text: String(error.cause ?? error), retryAfterMs: 0 };
    }
  }

  /** Send the lines of a stream until it ends and none waits. */
  async run(stream) {
    let ended = false;
    createInterface({ input: stream })
      .on("line", (line) => this.addLine(line))
      .on("close", () => this.wake((ended = true)));
    while (this.lines.length || !ended) {
      if (this.lines.length) await sleep(await this.exchange());
      else await new Promise((resolve) => (this.wake = resolve));
    }
  }

  addLine(line) {
    try {
      if (line.trim()) this.add({ ...JSON.parse(line) });
    } catch (error) {
      console.error("no JSON object", String(error), line);
    }
  }
}

function write(path, flags, lines) {
  const file = openSync(path, flags);
  writeSync(file, lines.map((line) => `${line}\n`).join(""));
  fsyncSync(file);
  closeSync(file);
}

if (process.argv[2]) {
  await new Client(process.env.ENERGY_URL ?? "http://127.0.0.1:3000", process.env.ENERGY_KEY, process.argv[2]).run(
    process.stdin,
  );
}
