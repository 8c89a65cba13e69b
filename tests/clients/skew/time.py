"""Stands before MicroPython's own module: the clock of the day is SKEW_S seconds wrong."""

import os

import utime
from utime import *  # noqa: F403


def time_ns():
    return utime.time_ns() + int(os.getenv("SKEW_S")) * 1_000_000_000
