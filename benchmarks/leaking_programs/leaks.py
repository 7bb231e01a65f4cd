"""One program for each way Python leaks, and healthy ones; about 0.3 MiB a second."""

import collections
import ctypes
import gc
import runpy
import signal
import sys
import time

signal.signal(signal.SIGUSR2, lambda *_: runpy.run_path("/tmp/memtop-count.py"))


class Session:
    """What a cache keeps."""

    def __init__(self, number):
        self.user = f"user-{number}"
        self.tags = [number] * 100


class Order:
    """Refers to itself, so only the collector can free it, and that is off."""

    def __init__(self, number):
        self.items = [number] * 100
        self.me = self


SESSIONS = {}
RECENT = collections.OrderedDict()
LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p


def step(kind, number):
    """Leaks once, in one way."""
    if kind == "cache":
        SESSIONS[number] = Session(number)
    elif kind == "cycle":
        Order(number)
    elif kind == "native":
        ctypes.memset(LIBC.malloc(3000), 1, 3000)
    elif kind == "garbage":
        Session(number)
    elif kind == "bounded":
        RECENT[number % 500] = Session(number)


if sys.argv[1] == "cycle":
    gc.disable()
print("ready", flush=True)
count = 0
while True:
    for _ in range(20):
        step(sys.argv[1], count)
        count += 1
    time.sleep(0.1)
