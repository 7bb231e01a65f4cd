"""A filter may be typed before the first pod is there."""

import numpy as np

from memtop.observe.order import matching
from memtop.observe.rows import container_rows
from memtop.observe.samples import History
from memtop.observe.store import Store
from memtop.observe.verdicts import Verdicts
from memtop.observe.view import Filter


def test_nothing_matches_where_there_is_nothing():
    store = Store(History(8, interval=15.0))
    verdicts = Verdicts(store, interval=15.0, hours=1.0)
    rows = container_rows(store, verdicts, store.history.peaks.read())
    assert len(matching(rows, np.empty(0, np.intp), Filter("user"))) == 0
