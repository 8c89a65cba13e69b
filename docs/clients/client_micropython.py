"""Send readings to the service, from MicroPython 1.21 or newer, with `requests` of micropython-lib.

On a board, beside the program that measures:

    client = Client("https://energy.example", "<keyId>.<secret>", "waiting.ndjson")
    client.add({"meterId": "M001", "kwhConsumedAc": 0.025, "voltage": 230.1})
    client.step()  # as often as there is time: it sends what waits, once it is due

Nothing else may set the clock meanwhile. It need not be right: the answers of the service say how far it is off.

On the Unix port it reads standard input, a reading as a JSON object a line:

    ENERGY_URL=http://127.0.0.1:3000 ENERGY_KEY=<keyId>.<secret> micropython client_micropython.py waiting.ndjson
"""

import json
import os
import random
import select
import sys
import time

import requests

MOST = 1_000  # readings that wait; for another one, the oldest is dropped
BATCH = 50  # readings in a request
FIRST_MS, LONGEST_MS = 1_000, 60_000  # wait before the second attempt; it doubles up to the longest
EPOCH_S = 946_684_800 if time.gmtime(0)[0] == 2000 else 0  # a port counts from 2000 or from 1970
MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def own_ms():
    return time.time_ns() // 1_000_000  # integers: the floats of a board have 24 bits


class Client:
    """Readings that wait, in memory and in a file, and the time of the server."""

    def __init__(self, url, key, file):
        self.url, self.key, self.file = url, key, file
        self.ahead = None  # own clock less the server's, ms; None before the first answer
        self.last_ms = 0  # time of the newest reading
        self.sent = 0  # readings in the body under way: a retry sends the same
        self.batch, self.failures = BATCH, 0
        self.due = time.ticks_ms()
        self.lines = []
        try:
            with open(file) as kept:
                for line in kept:
                    if line.endswith("\n"):  # the last has no end if the power went as it was written
                        self.lines.append(line[:-1])
        except OSError:
            pass  # there is none yet
        self.save()

    def add(self, reading):
        """Keep a reading, a dict, until it is sent; without a `timestamp` it was taken now."""
        # before the first answer the right time is unknown: the own clock's stands before the reading until then
        line = "%d %s" % (own_ms(), json.dumps(reading))
        if self.ahead is not None:
            line = self.stamp(line)
        if len(self.lines) == MOST:
            print("the buffer is full, dropped", self.lines.pop(self.sent))
            self.save()
        self.lines.append(line)
        with open(self.file, "a") as file:
            file.write(line + "\n")

    def stamp(self, line):
        """Give a reading its time, once and for all. No two have the same."""
        own, reading = line.split(" ", 1)
        reading = json.loads(reading)
        if "timestamp" not in reading:
            self.last_ms = max(int(own) - self.ahead, self.last_ms + 1)
            at = time.gmtime(self.last_ms // 1000 - EPOCH_S)
            reading["timestamp"] = "%d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (tuple(at[:6]) + (self.last_ms % 1000,))
        return json.dumps(reading)

    def learn_time(self, date):
        """Set the clock by the `Date` of an answer: whole seconds, so smaller differences say nothing."""
        _, day, month, year, clock = date.split(" ")[:5]
        month, year = MONTHS.index(month) // 3 + 1, int(year) - (month in ("Jan", "Feb"))
        days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((month + 9) % 12) + 2) // 5
        hour, minute, second = [int(part) for part in clock.split(":")]
        second += ((days + int(day) - 719_469) * 24 + hour) * 3600 + minute * 60  # since 1970
        ahead = own_ms() - second * 1000 - 500
        if self.ahead is not None and abs(ahead - self.ahead) < 2000:
            return
        self.ahead = ahead
        self.lines = [line if line[0] == "{" else self.stamp(line) for line in self.lines]
        self.save()

    def save(self):
        """Replace the file in one step: a kill leaves the old one or the new one (littlefs; FAT removes first)."""
        with open(self.file + ".new", "w") as file:
            for line in self.lines:
                file.write(line + "\n")
        os.rename(self.file + ".new", self.file)

    def step(self):
        """Send what waits, if it is due."""
        if self.lines and time.ticks_diff(self.due, time.ticks_ms()) <= 0:
            wait = self.exchange()
            self.due = time.ticks_add(time.ticks_ms(), wait)

    def exchange(self):
        """Send what waits; return how long to wait before the next request, ms."""
        if self.ahead is None:  # nothing is sent before its time is right
            _, _, retry_after_ms = self.request("HEAD", "/health/live")
            return self.backoff(retry_after_ms) if self.ahead is None else 0
        self.sent = self.sent or min(len(self.lines), self.batch)
        body = "\n".join(self.lines[: self.sent])
        status, answer, retry_after_ms = self.request("POST", "/v1/ingest/batch", body)
        if status == 413 and self.sent > 1:
            self.batch = self.sent = self.sent // 2
            return 0
        if status in (201, 207, 422):  # each reading is stored, or rejected for good
            if status != 201:
                print("rejected, by index from 0:", answer, "of", body)
        elif status in (400, 413, 415, 431):  # the same again would be answered the same
            print("dropped", status, answer, body)
        else:  # 408, 429, 5xx and no answer; and 401, 403, 404: readings wait until somebody mends key or address
            print("kept", status, answer)
            return self.backoff(LONGEST_MS if status in (401, 403, 404) else retry_after_ms)
        self.lines = self.lines[self.sent :]
        self.save()
        self.sent = self.failures = 0
        return 0

    def backoff(self, at_least_ms):
        wait = at_least_ms or min(LONGEST_MS, FIRST_MS << min(self.failures, 10))
        self.failures += 1
        return wait + wait * random.getrandbits(8) // 512  # not all devices at once

    def request(self, method, path, body=None):
        """Return status, text and `Retry-After` (ms) of an answer; status 0 for none."""
        headers = {"Content-Type": "application/x-ndjson"}
        if self.key:
            headers["Authorization"] = "Bearer " + self.key
        try:
            answer = requests.request(method, self.url + path, data=body, headers=headers, timeout=30)
            text = "" if method == "HEAD" else answer.text
            answer.close()
            found = {name.lower(): value for name, value in answer.headers.items()}
            if "date" in found:
                self.learn_time(found["date"])
        except Exception as error:  # half an answer fails in many ways
            return 0, repr(error), 0
        retry_after = found.get("retry-after", "")
        return answer.status_code, text, int(retry_after) * 1000 if retry_after.isdigit() else 0


def run(client):
    """Send the lines of standard input until it ends and none waits."""
    source = select.poll()
    source.register(sys.stdin, select.POLLIN)
    ended = False
    while client.lines or not ended:
        wait = max(0, time.ticks_diff(client.due, time.ticks_ms())) if client.lines else -1
        if ended:
            time.sleep_ms(wait)
        elif source.poll(wait):
            line = sys.stdin.readline()
            ended = not line
            try:
                if line.strip():
                    client.add(json.loads(line))
            except (ValueError, TypeError) as error:
                print("no JSON object", error, line)
        client.step()


if __name__ == "__main__":
    run(Client(os.getenv("ENERGY_URL") or "http://127.0.0.1:3000", os.getenv("ENERGY_KEY"), sys.argv[1]))
