"""Healthy kinds that grow for as long as the window lasts: nobody can clear them, nobody may convict them."""

from __future__ import annotations

import numpy as np

from tests.analysis.window import Window, day

ANY = frozenset({"steady", "step", "spike", "sawtooth", "warmup"})


def filling_cache(w: Window):
    """A cache whose time constant is about as long as the window, or longer."""
    return w.base * w.between(0.3, 5) * (1 - np.exp(-w.u / w.between(0.4, 2)))


def morning(w: Window):
    """The rising part of a day, seen for less than half a day."""
    if w.hours > 11:
        return np.zeros(len(w.time))
    phase = w.between(-0.25, 0.2) + w.u * w.hours / 24
    return w.base * w.between(0.03, 0.15) * np.sin(2 * np.pi * phase)


def one_tooth(w: Window):
    """A collector that comes every hour or two, watched for less than that."""
    if w.hours > 2:
        return np.zeros(len(w.time))
    return w.base * w.between(0.05, 0.2) * w.u


def cache_and_day(w: Window):
    """A cache that filled in the first hours of a window of a day or more, under the day's rhythm."""
    if w.hours < 23:
        return np.zeros(len(w.time))
    height = w.base * w.between(0.2, 0.6)
    return height * (1 - np.exp(-w.u / w.between(0.05, 0.2))) + day(w, height * w.between(0.1, 0.4))


_KINDS = (filling_cache, morning, one_tooth, cache_and_day)
UNFINISHED = {kind.__name__: (kind, ANY) for kind in _KINDS}
