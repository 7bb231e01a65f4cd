"""A filter may be typed before the first pod is there."""

import numpy as np

from memtop.observe.container_store import ContainerStore
from memtop.observe.frame_rows import container_rows
from memtop.observe.live_verdicts import LiveVerdicts
from memtop.observe.row_order import filter_rows
from memtop.observe.sample_rings import SampleHistory
from memtop.observe.view import RowFilter


def test_nothing_matches_where_there_is_nothing():
    store = ContainerStore(SampleHistory(8, interval=15.0))
    verdicts = LiveVerdicts(store, interval=15.0, hours=1.0)
    rows = container_rows(store, verdicts, store.history.peaks.read(), 0.0)
    assert len(filter_rows(rows, np.empty(0, np.intp), RowFilter("user"), 0.7)) == 0
