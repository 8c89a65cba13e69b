"""Send readings to the service, from Python 3.9 or newer, with the standard library alone.

    ENERGY_URL=http://127.0.0.1:3000 ENERGY_KEY=<keyId>.<secret> python client.py waiting.ndjson < readings

A line of standard input is a reading as a JSON object; without a `timestamp` it was taken now. Readings wait in the
file until the service has answered for them. At the end of the input the program ends when none waits.
"""

import json
import os
import random
import select
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import HTTPException

MOST = 10_000  # readings that wait; for another one, the oldest is dropped
BATCH = 500  # readings in a request
FIRST_S, LONGEST_S = 1, 60  # wait before the second attempt; it doubles up to the longest


class Client:
    """Readings that wait, in memory and in a file, and the time of the server."""

    def __init__(self, url, key, file):
        self.url, self.key, self.file = url, key, file
        self.base = None  # time of the server less the monotonic clock, seconds; None before the first answer
        self.last_ms = 0  # time of the newest reading
        self.sent = 0  # readings in the body under way: a retry sends the same
        self.batch, self.failures = BATCH, 0
        text = open(file).read() if os.path.exists(file) else ""
        # the last line has no end if the program was killed as it wrote it
        self.lines = [line.rstrip("\n") for line in text.splitlines(keepends=True) if line.endswith("\n")]
        self.save()

    def add(self, reading):
        """Keep a reading, a dict, until it is sent."""
        line = json.dumps(reading)
        # before the first answer the right time is unknown: the own clock's stands before the reading until then
        line = f"{int(time.time() * 1000)} {line}" if self.base is None else self.stamp(line, self.now())
        if len(self.lines) == MOST:
            report("the buffer is full, dropped", self.lines.pop(self.sent))
            self.save()
        self.lines.append(line)
        with open(self.file, "a") as file:
            write(file, [line])

    def stamp(self, line, at_s):
        """Give a reading its time, once and for all. No two have the same."""
        reading = json.loads(line)
        if "timestamp" not in reading:
            self.last_ms = max(int(at_s * 1000), self.last_ms + 1)
            at = datetime.fromtimestamp(self.last_ms / 1000, timezone.utc)
            reading["timestamp"] = at.isoformat(timespec="milliseconds")
        return json.dumps(reading)

    def now(self):
        return self.base + time.monotonic()

    def learn_time(self, date):
        """Set the clock by the `Date` of an answer: whole seconds, so smaller differences say nothing."""
        base = parsedate_to_datetime(date).timestamp() + 0.5 - time.monotonic()
        if self.base is not None and abs(base - self.base) < 2:
            return
        self.base = base
        waiting = [line.partition(" ") for line in self.lines]
        ahead = time.time() - self.now()
        self.lines = [
            self.stamp(rest, int(own) / 1000 - ahead) if own.isdigit() else own + blank + rest
            for own, blank, rest in waiting
        ]
        self.save()

    def save(self):
        """Replace the file in one step: a kill leaves the old one or the new one."""
        with open(self.file + ".new", "w") as file:
            write(file, self.lines)
        os.replace(self.file + ".new", self.file)

    def exchange(self):
        """Send what waits; return how long to wait before the next request, seconds."""
        if self.base is None:  # nothing is sent before its time is right
            status, answer, retry_after = self.request("HEAD", "/health/live")
            return self.backoff(retry_after) if self.base is None else 0
        self.sent = self.sent or min(len(self.lines), self.batch)
        body = "\n".join(self.lines[: self.sent])
        status, answer, retry_after = self.request("POST", "/v1/ingest/batch", body.encode())
        if status == 413 and self.sent > 1:
            self.batch = self.sent = self.sent // 2
            return 0
        if status in (201, 207, 422):  # each reading is stored, or rejected for good
            if status != 201:
                report("rejected, by index from 0:", answer, "of", body)
        elif status in (400, 413, 415, 431):  # the same again would be answered the same
            report("dropped", status, answer, body)
        else:  # 408, 429, 5xx and no answer; and 401, 403, 404: readings wait until somebody mends key or address
            report("kept", status, answer)
            return self.backoff(LONGEST_S if status in (401, 403, 404) else retry_after)
        del self.lines[: self.sent]
        self.save()
        self.sent = self.failures = 0
        return 0

    def backoff(self, at_least_s):
        self.failures += 1
        wait = at_least_s or min(LONGEST_S, FIRST_S * 2 ** min(self.failures - 1, 10))
        return wait * random.uniform(1, 1.5)  # not all devices at once

    def request(self, method, path, body=None):
        """Return status, text and `Retry-After` (seconds) of an answer; status 0 for none."""
        headers = {"Content-Type": "application/x-ndjson"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            try:
                answer = urllib.request.urlopen(request, timeout=30)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                text = answer.read()
            if answer.headers["Date"]:
                self.learn_time(answer.headers["Date"])
        except (OSError, HTTPException, ValueError) as error:  # none, or half of one
            return 0, str(error), 0
        retry_after = answer.headers["Retry-After"] or ""
        return answer.status, text.decode(), int(retry_after) if retry_after.isdigit() else 0

    def run(self, source):
        """Send the lines of a file descriptor until it ends and none waits."""
        due, rest, ended = 0.0, b"", False
        while self.lines or not ended:
            wait = max(0, due - time.monotonic())
            if not ended and select.select([source], [], [], wait if self.lines else None)[0]:
                data = os.read(source, 65536)
                ended = not data
                *lines, rest = (rest + data).split(b"\n")
                for line in lines + [rest] * ended:
                    self.add_line(line)
            elif ended:
                time.sleep(wait)
            if self.lines and time.monotonic() >= due:
                wait = self.exchange()
                due = time.monotonic() + wait

    def add_line(self, line):
        try:
            if line.strip():
                self.add(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            report("no JSON object", error, line)


def write(file, lines):
    file.writelines(line + "\n" for line in lines)
    file.flush()
    os.fsync(file.fileno())


def report(*words):
    print(*words, file=sys.stderr)


if __name__ == "__main__":
    Client(os.environ.get("ENERGY_URL", "http://127.0.0.1:3000"), os.environ.get("ENERGY_KEY"), sys.argv[1]).run(0)
