"""Runs a client on CPython with a wrong clock (SKEW_S); one for MicroPython with what CPython lacks of it."""

import datetime
import io
import os
import runpy
import sys
import time
import types
import urllib.error
import urllib.request

SKEW_S = int(os.environ["SKEW_S"])


def add_micropython() -> None:
    """`requests` as micropython-lib has it, the ticks, and a standard input that is read no further than asked."""
    requests = types.ModuleType("requests")
    requests.request = _request
    sys.modules["requests"] = requests
    time.ticks_ms = lambda: int(time.monotonic() * 1000)
    time.ticks_add = lambda ticks, ms: ticks + ms
    time.ticks_diff = lambda a, b: a - b
    time.sleep_ms = lambda ms: time.sleep(ms / 1000)
    sys.stdin = io.FileIO(0)


def _request(method, url, data, headers, timeout):
    request = urllib.request.Request(url, data and data.encode(), headers, method=method)  # noqa: S310
    try:
        opened = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310
    except urllib.error.HTTPError as error:
        opened = error
    with opened:
        return types.SimpleNamespace(
            status_code=opened.status, text=opened.read().decode(), headers=dict(opened.headers), close=lambda: None
        )


if __name__ == "__main__":
    right_s, right_ns = time.time, time.time_ns
    time.time = lambda: right_s() + SKEW_S
    time.time_ns = lambda: right_ns() + SKEW_S * 10**9
    sys.argv = sys.argv[1:]
    del datetime.UTC  # as in Python 3.9
    if "micropython" in sys.argv[0]:
        add_micropython()
    runpy.run_path(sys.argv[0], run_name="__main__")
