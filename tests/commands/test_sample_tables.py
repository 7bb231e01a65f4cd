"""Recorded memory in the forms that people have."""

import numpy as np
import pytest

from memtop.commands.classify import read_series_file
from memtop.commands.sample_tables import BadInputError, TableColumns, parse_amount, parse_time

MI = 2**20


def read(tmp_path, text, name="run.csv", **columns):
    path = tmp_path / name
    path.write_text(text)
    return {
        one.id: (one.series.timestamps.tolist(), one.series.values.tolist())
        for one in read_series_file(str(path), TableColumns(**columns))
    }


MPROF = """\
CMDLINE python run.py
MEM 0.5 1754557655.5
CHLD 77 2.0 1754557655.5
FUNC f 1 2 3 4
MEM 18.0 1754557656.5
"""
PSRECORD = """\
# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)
       0.000        0.000     2426.000     5810.457
       1.112        0.000     2427.000     5810.457
"""
DOCKER = """\
{}
CONTAINER ID   NAME   CPU %   MEM USAGE / LIMIT   MEM %
abc   web   0.1%   229MiB / 31.28GiB   0.71%
abd   db   0.1%   1.5GiB / 31.28GiB   0.71%
"""
TOP = """\
POD      NAME   CPU(cores)   MEMORY(bytes)
api-0    app    1m           {}Mi
api-0    log    1m           5Mi
"""


def test_mprof(tmp_path):
    assert read(tmp_path, MPROF, "mprofile.dat") == {
        "mprofile.dat": ([1754557655.5, 1754557656.5], [0.5 * MI, 18 * MI]),
        "mprofile.dat/child 77": ([1754557655.5], [2 * MI]),
    }


def test_psrecord(tmp_path):
    assert read(tmp_path, PSRECORD) == {"run": ([0.0, 1.112], [2426 * MI, 2427 * MI])}


@pytest.mark.parametrize(
    "times",
    [
        ("Sun Nov 29 05:19:56 UTC 2026", "Sun Nov 29 05:20:11 UTC 2026"),
        ("2026-11-29T05:19:56Z", "2026-11-29T05:20:11Z"),
        ("1795929596", "1795929611"),
        ("1795929596000", "1795929611000"),
    ],
)
def test_docker_stats_with_the_time_before_each_table(tmp_path, times):
    found = read(tmp_path, "".join(map(DOCKER.format, times)), "docker.txt")
    moments = [1795929596.0, 1795929611.0]
    assert found == {
        "docker.txt/web": (moments, [229 * MI] * 2),
        "docker.txt/db": (moments, [1.5 * 1024 * MI] * 2),
    }


def test_docker_stats_tells_the_limit(tmp_path):
    (tmp_path / "d").write_text(DOCKER.format("1795929596"))
    assert read_series_file(str(tmp_path / "d"))[0].series.limit == 31.28 * 2**30


def test_kubectl_top_in_a_loop(tmp_path):
    text = f"05:19:56\n{TOP.format(100)}05:20:11\n{TOP.format(101)}"
    found = read(tmp_path, text, "top")
    assert found["top/api-0/app"] == ([19196.0, 19211.0], [100 * MI, 101 * MI])
    assert found["top/api-0/log"][1] == [5 * MI] * 2


def test_kubectl_top_with_the_time_in_front_of_each_line(tmp_path):
    rows = ["2026-11-29 05:19:56 api-0 1m 100Mi", "2026-11-29 05:20:11 api-0 1m 101Mi"]
    text = "\n".join(["NAME   CPU(cores)   MEMORY(bytes)", *rows])
    assert read(tmp_path, text, "top") == {"api-0": ([1795929596.0, 1795929611.0], [100 * MI, 101 * MI])}


def test_grafana_with_several_series_units_and_empty_cells(tmp_path):
    text = '\ufeff"Time","api-0","api-1"\n2025-04-17 11:39:00,1.5 GiB,\n2025-04-17 11:39:30,null,350 MB\n'
    assert read(tmp_path, text, "panel.csv") == {
        "panel/api-0": ([1744889940.0], [1.5 * 2**30]),
        "panel/api-1": ([1744889970.0], [350e6]),
    }


def test_grafana_with_one_series_a_row(tmp_path):
    text = "Series;Time;Value\na;1700000000000;5\nb;1700000000000;6\na;1700000060000;7\n"
    assert read(tmp_path, text) == {
        "run/a": ([1.7e9, 1.7e9 + 60], [5.0, 7.0]),
        "run/b": ([1.7e9], [6.0]),
    }


def test_of_several_figures_of_a_process_the_resident_memory(tmp_path):
    text = "timestamp,rss,heapTotal,heapUsed\n1708687702620,172339200,45428736,25499864\n"
    assert read(tmp_path, text) == {"run": ([1708687702.62], [172339200.0])}


@pytest.mark.parametrize(
    ("header", "factor"),
    [
        ("elapsed_s,rss_kb", 1024),
        ("elapsed_s,RSS (MB)", MI),
        ("elapsed_s,memory_bytes", 1),
        ("seconds,mem [MiB]", MI),
    ],
)
def test_the_unit_may_stand_in_the_name_of_the_column(tmp_path, header, factor):
    assert read(tmp_path, f"{header}\n0,100\n60,200\n") == {
        "run": ([0.0, 60.0], [100.0 * factor, 200.0 * factor])
    }


def test_columns_named_by_flags(tmp_path):
    text = "when,what,heapUsed\n1,9,5\n2,9,6\n"
    assert read(tmp_path, text, time="When", value="heapUsed") == {"run": ([1.0, 2.0], [5.0, 6.0])}
    with pytest.raises(BadInputError, match="no column is called 'heap'; it has when, what, heapUsed"):
        read(tmp_path, text, time="when", value="heap")


def test_newest_first_is_turned_around(tmp_path):
    assert read(tmp_path, "time,value\n3,30\n2,20\n1,10\n") == {"run": ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0])}


@pytest.mark.parametrize("factor", [1, 1e3, 1e6, 1e9])
def test_the_unit_of_times_is_seen_by_their_size_also_in_json(tmp_path, factor):
    times = [int((1.7e9 + 60 * n) * factor) for n in range(3)]
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"id": "x", "timestamps": {times}, "values": [1, 2, 3], "restarts": [{times[1]}]}}')
    series = read_series_file(str(path))[0].series
    np.testing.assert_allclose(np.diff(series.timestamps), 60)
    assert series.restarts[0] == series.timestamps[1]


def test_from_a_pipe(monkeypatch):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"time,value\n1,2\n")))
    assert [one.id for one in read_series_file("-")] == ["-"]


@pytest.mark.parametrize("cell", ["", "-", "null", "NaN", "undefined"])
def test_an_empty_cell_is_a_gap(cell):
    assert parse_amount(cell) is None


def test_a_decimal_comma():
    assert parse_amount("1,5 MB") == 1.5e6


def test_what_is_no_time_is_none():
    with pytest.raises(ValueError, match="soon"):
        parse_time("soon")
