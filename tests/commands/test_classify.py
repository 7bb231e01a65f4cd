import gzip
import io
import json

import numpy as np
import pytest

from memtop.commands.classify import BadInputError, read_series_file, run_classify

FIELDS = ["id", "label", "verdict", "slope_bytes_per_hour", "eta_seconds", "confidence", "evidence"]


def run(*files):
    out, err = io.StringIO(), io.StringIO()
    code = run_classify([str(file) for file in files], out, err)
    return code, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def case(name="a", samples=240, growth=100_000.0, **more):
    values = 2e8 + growth * np.arange(samples) + np.random.default_rng(1).normal(0, 2e4, samples)
    times = (1.7e9 + 15.0 * np.arange(samples)).tolist()
    return {"id": name, "timestamps": times, "values": values.tolist(), **more}


def lines(path, *cases):
    path.write_text("".join(json.dumps(one) + "\n" for one in cases))
    return path


def test_one_json_line_per_series_in_the_order_of_the_input(tmp_path):
    cases = [case(f"c{n}", samples=100 + 37 * (n * 7 % 5), growth=1e5 * (n % 2), limit=5e8) for n in range(9)]
    code, found, err = run(lines(tmp_path / "cases.jsonl", *cases))
    assert (code, err) == (0, "")
    assert [one["id"] for one in found] == [f"c{n}" for n in range(9)]
    assert all(list(one) == FIELDS for one in found)
    assert [one["label"] for one in found] == ["steady", "leak"] * 4 + ["steady"]
    assert found[1]["slope_bytes_per_hour"] == pytest.approx(1e5 * 240, rel=0.02)
    assert found[1]["eta_seconds"] > 0
    assert found[0]["eta_seconds"] is None
    assert found[1]["evidence"].startswith("floor rises ")


def test_gzipped_lines_and_restarts_are_read(tmp_path):
    path = tmp_path / "cases.jsonl.gz"
    ramps = case(growth=0, samples=400, restarts=[1.7e9 + 15.0 * 100 * n for n in (1, 2, 3)])
    ramps["values"] = [2e8 + 1e6 * (n % 100) for n in range(400)]
    path.write_bytes(gzip.compress(json.dumps(ramps).encode()))
    code, found, _ = run(path)
    assert code == 0
    assert found[0]["label"] == "leak"
    assert "across 3 restarts" in found[0]["evidence"]


@pytest.mark.parametrize("zone", ["Z", "+02:00", ""])
def test_csv_with_iso_times(tmp_path, zone):
    path = tmp_path / "shop.csv"
    rows = [f"2026-01-01T{n // 60:02d}:{n % 60:02d}:00{zone},{2e8 + 1e6 * n}" for n in range(300)]
    path.write_text("time,value\n" + "\n".join(rows) + "\n")
    code, found, err = run(path)
    assert (code, err) == (0, "")
    assert found[0]["id"] == "shop"
    assert found[0]["label"] == "leak"
    assert found[0]["slope_bytes_per_hour"] == pytest.approx(6e7, rel=1e-3)


def test_csv_with_unix_times_other_columns_quotes_and_crlf(tmp_path):
    path = tmp_path / "x.csv"
    rows = [f'"pod, one",{300_000_000},{1.7e9 + 15 * n}' for n in range(100)]
    path.write_text("\ufeffPod,Value,Timestamp\r\n" + "\r\n".join(rows) + "\r\n\r\n")
    code, found, _ = run(path)
    assert (code, found[0]["label"]) == (0, "steady")


def answer(*series, kind="matrix"):
    return {"status": "success", "data": {"resultType": kind, "result": list(series)}}


def stream(metric, growth, samples=200):
    return {"metric": metric, "values": [[1.7e9 + 60 * n, str(2e8 + growth * n)] for n in range(samples)]}


def test_an_answer_to_query_range_names_series_by_their_labels(tmp_path):
    path = tmp_path / "answer.json"
    shop = {"__name__": "container_memory_rss", "namespace": "shop", "pod": "api-1", "container": "api"}
    broken = stream({}, 0.0)
    broken["values"][50][1] = "NaN"
    said = answer(stream(shop, 1e6), stream({"job": "x", "instance": "y"}, 0.0), broken)
    path.write_text(json.dumps(said, indent=2))
    code, found, err = run(path)
    assert (code, err) == (0, "")
    assert [one["id"] for one in found] == ["shop/api-1/api", "instance=y,job=x", "series"]
    assert [one["label"] for one in found] == ["leak", "steady", "steady"]


def test_an_empty_answer_has_no_lines(tmp_path):
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(answer()))
    assert run(path) == (0, [], "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        (
            "hello\n",
            "line 1: neither JSON nor a known table; as CSV it has no column of times",
        ),
        ("Foo,Bar\n1,2\n", "timestamp: it has Foo, Bar; name two with --time and --value"),
        ("time\n1\n", "it has time; name one with --value"),
        ("time,value\n1,\n2,null\n", "there is no sample in it"),
        ("NAME MEMORY(bytes)\na 5Mi\n", "line 2: the table tells no time; print the time before it"),
        (
            "time,value\n1,2\nyesterday,3\n",
            "line 3: 'yesterday' is neither unix seconds nor an ISO 8601 time",
        ),
        ("time,value\n1,2\n2,much\n", "line 3: 'much' is not a number of bytes"),
        ("time,value\n1,2\n2\n", "line 3: 1 columns where 2 are needed"),
        ("time,value\n2,2\n3,2\n1,2\n", "the times do not ascend"),
        ('{"id": "a", "timestamps": [1, 2], "values": [1]}', "line 1: 2 timestamps but 1 values"),
        ('{"id": "a", "timestamps": [2, 1], "values": [1, 1]}', "line 1: the times do not ascend"),
        ('{"id": "a", "timestamps": [1], "values": [-5]}', "line 1: memory cannot be negative (-5 bytes)"),
        ('{"id": "a", "timestamps": ["x"], "values": [5]}', "line 1: not a series: "),
        ('{"id": "a", "timestamps": [1], "values": [5]}\n{"id": "b"', "line 2: not a series: "),
        ('{"id": "a", "timestamps": [1], "values": [5], "limit": 0}', "line 1: a limit of 0 bytes is none"),
        ('{"status": "error", "error": "boom"}', "neither series nor an answer to query_range"),
        (json.dumps(answer(kind="vector")), "a vector is no range; ask Prometheus with query_range"),
        (json.dumps(answer({"metric": {}, "values": [[1, "x"]]})), "series 1: could not convert"),
    ],
)
def test_broken_input_is_one_sentence_and_nothing_is_printed(tmp_path, text, words):
    good, bad = lines(tmp_path / "good.jsonl", case()), tmp_path / "bad"
    bad.write_text(text)
    code, found, err = run(good, bad)
    assert (code, found) == (2, [])
    assert err.startswith(str(bad))
    assert words in err
    assert err.count("\n") == 1


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])
    (tmp_path / "binary").write_bytes(b"\x89PNG\r\n\xff\xfe")
    for name, words in (
        ("absent", "No such file or directory"),
        ("cut.gz", "broken gzip file"),
        ("binary", "not a text file (byte 0 is not UTF-8)"),
    ):
        with pytest.raises(BadInputError, match=f"{name}: ") as said:
            read_series_file(str(tmp_path / name))
        assert words in str(said.value)
    assert run(tmp_path)[0] == 2


def test_too_little_is_said_to_be_too_little(tmp_path):
    _, found, _ = run(lines(tmp_path / "short.jsonl", case(samples=5)))
    assert found[0]["label"] == "not enough data"
    assert found[0]["slope_bytes_per_hour"] is None
