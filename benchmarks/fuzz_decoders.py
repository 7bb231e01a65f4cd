"""What `fuzz.py` fuzzes: each decoder of memtop, what it is given, and how it may answer."""

# ruff: noqa: E501  (samples of what others write)

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from hypothesis import strategies as st

from config import invocation
from config.errors import ConfigError
from memtop.analysis.memory_series import Series
from memtop.change.images import ImageReferenceError, parse_image, tag_span
from memtop.commands.classify import NamedSeries, judge_named_series, read_series_file, run_classify
from memtop.commands.sample_tables import BadInputError
from memtop.heap.cgroup_memory import NoCgroupFiguresError, read_breakdown
from memtop.heap.container_probe import ContainerProbe, parse_sections, read_processes
from memtop.heap_files.heap_contents import HeapFileError
from memtop.heap_files.heap_reader import read_heap
from memtop.history.past_series import PastSeries, merge_past_and_live
from memtop.history.prometheus_answers import (
    read_label_values,
    read_query_answer,
    read_series_labels,
    read_version,
)
from memtop.history.sample_archive import (
    ArchiveTick,
    ArchiveWriter,
    SampleOwner,
    archived_pods,
    read_archive,
)
from memtop.kube.api_errors import KubeconfigError, Unreachable
from memtop.kube.api_objects import (
    ListReader,
    Node,
    PartialObjectMetadata,
    Pod,
    PodMetrics,
    RawList,
    WatchEvent,
)
from memtop.kube.core_events import CoreEvent, merge_events
from memtop.kube.json_object import decode_object, yaml_lines
from memtop.kube.kubeconfig import list_contexts, load_target
from memtop.kube.lenient_decoding import decode_lenient
from memtop.logs.buffer import LogBuffer
from memtop.logs.gc_log_parsers import GcEvents
from memtop.logs.heap_readings import summarise_readings
from memtop.logs.log_lines import LineSplitter, LogPosition, parse_line
from memtop.logs.log_times import TimeFormatError, parse_typed_time, writes_own_times
from memtop.logs.search import Grep, LogFilter, PatternError
from memtop.observe.view import OverviewPane, RowFilter, RowSort, SortColumn, View
from memtop.quantity import bytes_or_none, canonical, parse_quantities, parse_quantity
from tests.tui.cluster import FakeCluster, FakeEngine

ROOT = Path(__file__).parent.parent
RECORDINGS = ROOT / "tests" / "recordings"

# -- what it is made of

MARKER = "\x00raw\x00"
"""Around what is to stand in a JSON text as it is, such as a number that no float holds."""


def _raw(text: str) -> str:
    return f"{MARKER}{text}{MARKER}"


ODD_VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**12, -(2**63), 0.5, 1e308, -1e-300, "", " ", "0", "-1"),
    *([], {}, [[]], [None], [{}], {"": None}, {"a": {"a": {}}}, "null", "NaN", "Infinity", "1e999", "-Inf"),
    *(_raw("1e999"), _raw("-1e999"), _raw("9" * 400), _raw("9" * 5000), _raw("1" + "0" * 30), _raw("-0")),
    *("9" * 400, "9" * 5000, "1e308", "1e9999Mi", "0.000000001n", "-128Mi", "12Zi", "1.5.5Gi", "1e99999999"),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "1969-12-31T23:59:59Z"),
    *("2026-02-30T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59", "2026-01-01", "0000-00-00T00:00:00Z"),
    *("\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\nb\r\nc", "\ud800", "\u202eabc", "e\u0301\u0302\u0303" * 50),
    *("x" * 10_000, "\x00", "[bold]markup[/]", "%s%n{0}", "../../etc/passwd", "ÄÖÜ", "😀" * 100),
    _raw("[" * 3000 + "]" * 3000),
)  # fmt: skip
TOKENS = (
    *(b"", b"\n", b"\r", b"\x00", b"\xff", b"\xc3", b"\x1b[", b"9" * 400, b"-1", b"1e999", b"NaN", b","),
    *(b'"', b"{", b"}", b"[", b"]", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xff\xff\xff\xff", b"\x80" * 12),
    *(b"9999-12-31T23:59:59Z", b"(", b")", b"%", b" ", b"0", b"\x7f", b"\x00" * 8, b":", b"=", b"'", b"\\"),
)  # fmt: skip


class JsonPlace(NamedTuple):
    """One value in a document."""

    holder: Any
    key: Any


def _places(value: Any, found: list[JsonPlace]) -> list[JsonPlace]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in steps:
        found.append(JsonPlace(value, key))
        _places(part, found)
    return found


@st.composite
def json_bytes(draw: st.DrawFn, documents: Sequence[bytes]) -> bytes:
    """A recorded answer with some of its values changed, and sometimes some of its bytes."""
    tree = [json.loads(draw(st.sampled_from(documents)))]
    for _ in range(draw(st.integers(0, 6))):
        places = _places(tree, [])
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.integers(0, 9)):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.append(deepcopy(holder[key]))
            case 2 if isinstance(holder, dict):
                holder[str(draw(st.sampled_from(ODD_VALUES)))[:200]] = holder.pop(key)
            case _:  # a copy, since later steps change it
                holder[key] = deepcopy(draw(st.sampled_from(ODD_VALUES)))
    text = json.dumps(tree[0] if tree else None, ensure_ascii=draw(st.booleans()))
    quoted = json.dumps(MARKER)[1:-1]
    text = text.replace(f'"{quoted}', "").replace(f'{quoted}"', "")
    content = text.encode("utf-8", "surrogatepass")
    return draw(changed_bytes(content)) if draw(st.integers(0, 3)) == 0 else content


@st.composite
def changed_bytes(draw: st.DrawFn, content: bytes, words: Sequence[bytes] = TOKENS) -> bytes:
    """Bytes with parts cut out, doubled, and put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, 5))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.sampled_from((0, 1, 2, 4, 16, 64, 1024, 1 << 20))))
        match draw(st.integers(0, 4)):
            case 0:
                del data[place:end]
            case 1:
                data[place:end] = draw(st.binary(max_size=8))
            case 2:
                data[place:place] = data[place:end][:4096]
            case _:
                data[place:end] = draw(st.sampled_from(words))
    return bytes(data[: 1 << 17])


def changed(contents: Iterable[bytes], words: Sequence[bytes] = TOKENS) -> st.SearchStrategy[bytes]:
    """One of some contents, changed."""
    return st.sampled_from([*contents]).flatmap(lambda content: changed_bytes(content, words))


def mixed(words: Sequence[str], most: int = 12) -> st.SearchStrategy[bytes]:
    """Words put after each other."""
    odd = [str(value) for value in ODD_VALUES if isinstance(value, str) and MARKER not in value]
    return st.lists(st.sampled_from([*words, *words, *odd]), max_size=most).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    )


@dataclass(frozen=True)
class FuzzedDecoder:
    """One decoder.

    Attributes:
        name: For the table.
        inputs: What it is given.
        decode: Decodes, and uses what it got as memtop does.
        answers: Exceptions that its callers show as a sentence.
    """

    name: str
    inputs: st.SearchStrategy[bytes]
    decode: Callable[[bytes], object]
    answers: tuple[type[Exception], ...] = ()


def text_of(content: bytes) -> str:
    """What a flag, a key or a typed word can be: text."""
    return content.decode("utf-8", "replace")


# -- objects of the API


def recorded(*names: str) -> list[bytes]:
    """Recordings, lists cut to a few items so that a change hits what matters."""
    found = []
    for name in names:
        tree = json.loads((RECORDINGS / name).read_bytes())
        if isinstance(tree, dict) and isinstance(tree.get("items"), list):
            for item in tree["items"][:12]:
                item["metadata"].pop("managedFields", None)
                found.append(json.dumps(tree | {"items": [item]}).encode())
        else:
            found.append(json.dumps(tree).encode())
    return found


PODS = recorded("pods-all.json", "modern/pods-modern.json")
SAMPLES = recorded("podmetrics-all.json", "podmetrics-multi-container.json", "modern/podmetrics-modern.json")


def frame_of(cluster: FakeCluster) -> None:
    """Builds the frames of every order and kind, as a screen asks for them."""
    sorts = [RowSort(column) for column in SortColumn]
    engine = FakeEngine(cluster, lambda frame: None, lambda error: None, None, lambda words: None)
    for number, sort in enumerate(sorts):
        engine.view = View(workloads=bool(number % 2), sorts=dict.fromkeys(OverviewPane, sort))
        engine.push()


def decode_pods(content: bytes) -> None:
    """A list of pods in pieces, then the same as changes; then frames of it."""
    cluster = FakeCluster()
    reader: ListReader[Pod] = ListReader(lambda raw: decode_lenient(raw, Pod, "a pod"), "the list", 1 << 22)
    pods: list[Pod] = []
    with contextlib.suppress(Unreachable):
        for start in range(0, len(content), 4096):
            pods += reader.feed(content[start : start + 4096])
        pods += reader.end()[0]
    for pod in pods:
        cluster.store.put_pod(pod, cluster.clock.time)
    frame_of(cluster)
    cluster.store.keep_only([pod.metadata.uid for pod in pods[::2]], None)
    cluster.store.advance_clock(cluster.clock.time + 4000.0)
    frame_of(cluster)


def decode_watch(content: bytes) -> None:
    """One line of a watch of each collection."""
    cluster = FakeCluster()
    event = decode_lenient(content, WatchEvent, "an event")
    with contextlib.suppress(Unreachable):
        cluster.store.put_pod(decode_lenient(event.object, Pod, "a pod"), cluster.clock.time)
    with contextlib.suppress(Unreachable):
        cluster.store.put_node(decode_lenient(event.object, Node, "a node"))
    with contextlib.suppress(Unreachable):
        cluster.store.learn_owners([decode_lenient(event.object, PartialObjectMetadata, "an owner")])
    with contextlib.suppress(Unreachable):
        merge_events([decode_lenient(event.object, CoreEvent, "an event").read()] * 2)
    frame_of(cluster)


_KNOWN = msgspec.json.decode((RECORDINGS / "pods-all.json").read_bytes(), type=dict[str, Any])["items"][:12]
_KNOWN = [decode_lenient(json.dumps(pod).encode(), Pod, "a pod") for pod in _KNOWN]


def decode_metrics(content: bytes) -> None:
    """One answer of the metrics API to a store whose pods are there."""
    cluster = FakeCluster()
    for pod in _KNOWN:
        cluster.store.put_pod(pod, cluster.clock.time)
    for raw in decode_lenient(content, RawList, "the answer").items or []:
        with contextlib.suppress(Unreachable):
            cluster.store.put_metrics([decode_lenient(raw, PodMetrics, "a sample")], cluster.clock.time)
    frame_of(cluster)


def decode_any_object(content: bytes) -> None:
    """An object as its own page shows it."""
    yaml_lines(decode_object(content))


# -- Prometheus


def decode_prometheus(content: bytes) -> None:
    """An answer of every kind, and what a verdict makes of its samples."""
    for read in (read_label_values, read_series_labels, read_version):
        with contextlib.suppress(Unreachable):
            read(content)
    live = Series(np.array([1.0, 2.0]), np.array([1e6, 2e6]))
    for stream in read_query_answer(content).streams:
        past = PastSeries("working set", "a test", stream.times, stream.values, stream.times[:2])
        merged = merge_past_and_live(past, live)
        assert len(merged.timestamps) == len(merged.values)
        judge_named_series([NamedSeries("a", merged)])


def _few_samples(tree: Any) -> Any:
    """The same with short lists, so that a change hits what matters."""
    if isinstance(tree, dict):
        return {key: _few_samples(part) for key, part in tree.items()}
    return [_few_samples(part) for part in tree[:6]] if isinstance(tree, list) else tree


PROMETHEUS = [
    json.dumps(_few_samples(json.loads((RECORDINGS / name).read_bytes()))).encode()
    for name in (
        *("prom-query-working-set.json", "prom-query-nan.json", "prom-query-scalar.json", "prom-series.json"),
        *(
            "prom-query-range-restarts.json",
            "prom-query-range-usage-user-service.json",
            "prom-buildinfo.json",
        ),
        *("prom-query-empty.json", "prom-query-error.json"),
    )
]

# -- words


def decode_quantities(content: bytes) -> None:
    """A quantity in every way it is read."""
    text = text_of(content)
    amount = parse_quantity(text)
    if amount is not None:
        str(amount), amount.milli, amount.whole
    bytes_or_none(text)
    canonical(text)
    parse_quantities({"memory": text})


def decode_images(content: bytes) -> None:
    """An image reference."""
    text = text_of(content)
    first, end = tag_span(text)
    assert 0 <= first <= end <= len(text)
    str(parse_image(text).mutable)


LOGS = [path.read_bytes() for path in sorted((ROOT / "tests" / "logs" / "samples").glob("*.txt"))]
LOG_LINES = [line for log in LOGS for line in log.splitlines()[:40]]


def decode_collector_lines(content: bytes) -> None:
    """Lines of collectors, and their summary."""
    events = GcEvents()
    read = [events.read(parse_line(line, "web").text) for line in content.split(b"\n")]
    summarise_readings(one for one in read if one is not None)


def decode_log(content: bytes) -> None:
    """A log in pieces, into a buffer and out of it again."""
    splitter, position, buffer = LineSplitter(2000), LogPosition(), LogBuffer(50, 4096)
    for start in range(0, len(content), 700):
        for raw, cut in splitter.feed(content[start : start + 700]):
            line = parse_line(raw, "web", cut=cut)
            if position.is_new(line.time):
                buffer.append([line])
    buffer.append(parse_line(raw, "web", cut=cut) for raw, cut in splitter.rest())
    shown = [buffer.line(number) for number in range(buffer.first, buffer.end)]
    assert all("\x1b" not in line.text and "\n" not in line.text for line in shown)
    writes_own_times(line.text for line in shown)
    with contextlib.suppress(TimeFormatError):
        parse_typed_time(text_of(content[:60]), newest=1.7e9)


STAMPED = [
    b"\n".join(b"2026-11-22T14:03:%02d.123456789Z %s" % (number, line) for number, line in enumerate(lines))
    for lines in (log.splitlines()[:20] for log in LOGS)
]

# -- what a person gives


def in_file(content: bytes, use: Callable[[Path], object]) -> None:
    """Uses a file with that content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        use(path)


KUBECONFIG = b"""apiVersion: v1
kind: Config
current-context: one
clusters:
- name: one
  cluster: {server: "https://user:word@10.0.0.1:6443/a", insecure-skip-tls-verify: true, proxy-url: "http://u:p@p:1", tls-server-name: x}
contexts:
- name: one
  context: {cluster: one, user: me, namespace: shop}
users:
- name: me
  user:
    token: abc
    as: somebody
    as-groups: [a, b]
    as-user-extra: {key: [value]}
    exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, echo], env: [{name: A, value: b}]}
"""


def decode_kubeconfig(content: bytes) -> None:
    """A kubeconfig, its contexts and its target."""

    def use(path: Path) -> None:
        environ = {
            "HOME": str(path.parent),
            "HTTPS_PROXY": "http://proxy:3128",
            "NO_PROXY": text_of(content[:40]),
        }
        with contextlib.suppress(KubeconfigError):
            list_contexts(kubeconfig=str(path), environ=environ)
        load_target(kubeconfig=str(path), environ=environ)

    in_file(content, use)


SETTINGS = b"""[observe]
interval = "15s"
namespaces = ["a", "b"]
[cluster]
context = "x"
[prometheus]
url = "https://user:word@prometheus.example:9090"
headers = {Authorization = "Bearer x"}
timeout = "30s"
[logs]
presets = {gc = "GC|Pause"}
[alerts]
window = "1h"
[safety]
read_only = true
"""


def decode_settings(content: bytes) -> None:
    """A settings file, and a variable of the same text."""

    def use(path: Path) -> None:
        environ = {"HOME": str(path.parent), "MEMTOP_INTERVAL": text_of(content[:20]).replace("\0", "")}
        with contextlib.suppress(ConfigError):
            invocation.parse(["--config", str(path)], {"HOME": str(path.parent)})
        invocation.parse([], environ)

    in_file(content, use)


SERIES = [
    b'{"id":"a","timestamps":[0,60,120,180,240,300],"values":[1e6,2e6,3e6,4e6,5e6,6e6],"limit":2e7,'
    b'"restarts":[150],"oom_kills":[150]}\n',
    b"time,rss_mb\n2026-01-01T00:00:00Z,100\n2026-01-01T00:01:00Z,110.5\n2026-01-01T00:02:00Z,\n",
    b"timestamp;pod;memory (MiB)\n1700000000;web;100\n1700000060;web;110\n1700000120;db;1,5\n",
    b"CMDLINE python x.py\nMEM 12.5 1700000000.1\nMEM 13.5 1700000001.1\nCHLD 4 1.0 1700000001.1\n",
    b"# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n  0.0  1.0  10.1  100\n  1.0  2.0  11.1 100\n",
    b"Mon Nov 24 14:03:05 UTC 2026\nNAME   CPU(cores)   MEMORY(bytes)\nweb    1m   120Mi\ndb 3m 1Gi\n"
    b"Mon Nov 24 14:04:05 UTC 2026\nNAME   CPU(cores)   MEMORY(bytes)\nweb    1m   121Mi\n",
    b"14:03:05 CONTAINER ID   NAME   CPU %   MEM USAGE / LIMIT   MEM %\n"
    b"4f1c   web    1.0%    1.5GiB / 2GiB    75%\n",
    PROMETHEUS[5],
]


def decode_series(content: bytes) -> None:
    """A file of `memtop classify`, and its verdicts."""

    def use(path: Path) -> None:
        read_series_file(str(path))
        run_classify([str(path)], io.StringIO(), io.StringIO())

    in_file(content, use)


def decode_filter(content: bytes) -> None:
    """What is typed into the filter of the overview."""
    row_filter = RowFilter(text_of(content))
    str(row_filter.problem), row_filter.conditions
    engine = FakeEngine(_SOME, lambda frame: None, lambda error: None, None, lambda words: None)
    for workloads in (False, True):
        engine.view = View(filter=row_filter, workloads=workloads)
        engine.push()


_SOME = FakeCluster()
_SOME.pod("web-1", 5e8, 1e9, labels={"app": "web", "tier": "a"}, deployment="web")
_SOME.pod("db-0", 5e8, restarts=3, waiting="CrashLoopBackOff")
_SOME.sample()


class LogGrep:
    """One search process for all expressions, which is how a log tab has it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._grep = Grep(patience=5.0)

    def decode(self, content: bytes) -> None:
        """What is typed into the search of a log."""
        wanted = LogFilter.typed(text_of(content))
        self._loop.run_until_complete(self._search(wanted))

    async def _search(self, wanted: LogFilter) -> None:
        await self._grep.use(wanted.pattern, ignore_case=wanted.ignore_case)
        await self._grep.search(b"".join(line + b"\n" for line in LOG_LINES[:60]))


# -- files

HEAP_SAMPLES = ROOT / "tests" / "heap_files" / "samples"


def heap_files() -> list[bytes]:
    """A small one of each kind."""
    import gzip  # noqa: PLC0415

    from tests.heap_files.conftest import HISTOGRAM, sessions_dump, v8_snapshot  # noqa: PLC0415

    return [
        sessions_dump(8),
        v8_snapshot(8),
        gzip.decompress((HEAP_SAMPLES / "go-heap.pb.gz").read_bytes()),
        (HEAP_SAMPLES / "go-goroutines.pb.gz").read_bytes(),
        HISTOGRAM.format(pid=1, nodes=5, node_bytes=160, total=9, total_bytes=900).encode(),
        b'{"total_num_allocations": 5, "total_bytes_allocated": 900, "allocation_size_histogram": [], '
        b'"top_locations_by_size": [{"location": "f:a.py:3", "size": 9}], "top_locations_by_count": [], '
        b'"metadata": {"peak_memory": 900, "pid": 1}}',
        b"a.py:3: size=12.5 KiB, count=4, average=3 B\nb.py:9: size=1 MiB (+3 KiB), count=4 (+1), average=3 B\n",
        b"00400000-00401000 r-xp 00000000 08:01 12   /bin/a\nRss:   4 kB\nPss:   4 kB\nPrivate_Dirty: 4 kB\n"
        b"7f00-7fff rw-p 00000000 00:00 0  [heap]\nRss:  9 kB\nSwap: 1 kB\n",
    ]


def decode_heap(content: bytes) -> None:
    """A heap file."""
    read_heap(io.BytesIO(content))


def _segment() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "cluster"
        writer = ArchiveWriter(place)
        owners = [SampleOwner("u1", "app"), SampleOwner("u2", "db")]
        for number in range(5):
            moment = 1.7e9 + number * 120
            values = np.array([1e6, 2e6], np.float32)
            writer.append(
                ArchiveTick(
                    moment, owners, np.array([moment, moment]), values, [(0, moment, True)], [("a", "p")] * 2
                )
            )
        writer.close()
        return next(place.glob("*.samples")).read_bytes()


def decode_segment(content: bytes) -> None:
    """A segment of the archive: its blocks are made whole again so that what is in them is looked at."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "000001700000-0000.samples"
        path.write_bytes(content)
        owners = [SampleOwner("u1", "app"), SampleOwner("u2", "db")]
        for kept in read_archive(Path(folder), owners, 0.0).values():
            assert len(kept.times) == len(kept.values)
        archived_pods(Path(folder), "a", 0.0)


@st.composite
def segments(draw: st.DrawFn) -> bytes:
    """A segment as it is on the disk, or blocks of odd values with the right checksums."""
    import struct  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    if draw(st.booleans()):
        return draw(changed_bytes(_SEGMENT))
    content = b""
    for _ in range(draw(st.integers(1, 3))):
        numbers = st.sampled_from((0.0, 1.7e9, -1e9, 1e308, float("inf"), float("nan"), -5, 2**63 - 1, None))
        ends = st.lists(st.tuples(st.sampled_from((0, 1, -1, 5, 2**40)), numbers, st.booleans()), max_size=3)
        names = st.lists(st.tuples(st.sampled_from(("u1", "u2", "\x1b[1m")), st.just("app")), max_size=3)
        block = [
            *(draw(numbers), draw(names), draw(st.binary(max_size=16)), draw(st.binary(max_size=8))),
            *(draw(st.binary(max_size=16)), draw(ends), draw(names)),
        ]
        if draw(st.booleans()):
            block[2:5] = [struct.pack("<II", 0, draw(st.sampled_from((0, 1, 9)))), bytes(4), bytes(8)]
        body = zlib.compress(msgspec.msgpack.encode(block))
        content += struct.pack("<4sII", b"mtp1", len(body), zlib.crc32(body)) + body
    return content


_SEGMENT = _segment()
PROBES = [path.read_bytes() for path in sorted((ROOT / "tests" / "heap" / "samples").glob("*.txt"))]


def decode_probe(content: bytes) -> None:
    """What the tools of an image printed."""
    mark = next((word for word in text_of(content[:200]).split() if word.startswith("@")), "@mark")
    probe = ContainerProbe(parse_sections(content, mark))
    str(probe.tools)
    read_processes(probe)
    with contextlib.suppress(NoCgroupFiguresError):
        read_breakdown(probe)


DECODERS = (
    FuzzedDecoder("pods", json_bytes(PODS), decode_pods),
    FuzzedDecoder(
        "watch lines",
        json_bytes(PODS).map(lambda pods: b'{"type":"MODIFIED","object":' + pods + b"}")
        | json_bytes(recorded("nodes.json", "pod-crashloop.json", "phase-running-pod.json")).map(
            lambda item: b'{"type":"ADDED","object":' + item + b"}"
        ),
        decode_watch,
        (Unreachable,),
    ),
    FuzzedDecoder("metrics", json_bytes(SAMPLES), decode_metrics, (Unreachable,)),
    FuzzedDecoder("object pages", json_bytes(PODS[:3]), decode_any_object, (Unreachable,)),
    FuzzedDecoder("prometheus", json_bytes(PROMETHEUS), decode_prometheus, (Unreachable,)),
    FuzzedDecoder(
        "quantities",
        mixed(["1", "128", ".5", "Mi", "Ki", "m", "n", "E", "e", "+", "-", "9" * 50, "e999", "e-999", "Ei"], 6)
        | changed([b"128Mi", b"129e6", b"1.5Gi", b"128974848000m"]),
        decode_quantities,
    ),
    FuzzedDecoder(
        "images",
        changed([b"registry.example:5000/shop/user-service:v2.1.0", b"[::1]:5/a@sha256:" + b"a" * 64, b"nginx"])
        | mixed(["a", "/", ":", "@", "sha256", "A", ".", "-", "_", "5000", "[", "]", "localhost", "é", "٣"]),
        decode_images,
        (ImageReferenceError,),
    ),
    FuzzedDecoder(
        "GC lines",
        changed(LOG_LINES, (*TOKENS, *(line[:40] for line in LOG_LINES[::20]), b"iB", b"MB", b"->", b"ms")),
        decode_collector_lines,
    ),
    FuzzedDecoder("log splitter", changed([*LOGS, *STAMPED]), decode_log),
    FuzzedDecoder("kubeconfig", changed([KUBECONFIG], (*TOKENS, b"- ", b": ", b"!!python", b"&a ", b"*a", b"<<: ")),
                  decode_kubeconfig, (KubeconfigError,)),
    FuzzedDecoder("settings", changed([SETTINGS], (*TOKENS, b"= ", b"[[", b"'''", b"1979-05-27", b"inf")),
                  decode_settings, (ConfigError,)),
    FuzzedDecoder("series", changed(SERIES), decode_series, (BadInputError,)),
    FuzzedDecoder("heap files", changed(heap_files()), decode_heap, (HeapFileError,)),
    FuzzedDecoder("segments", segments(), decode_segment),
    FuzzedDecoder(
        "filters",
        mixed(["is=", "leaking", "!", "app=", "web", "ns=", "namespace=", " ", "=", "near-limit", "!is=oom-killed"]),
        decode_filter,
    ),
    FuzzedDecoder(
        "log searches",
        mixed(["(", ")", "a*", "a+", "[a-z]", "[", "\\", "|", "^", "$", "(?i)", "(?=", "{1,99999}", "GC", ".*", "\\1"]),
        LogGrep().decode,
        (PatternError,),
    ),
    FuzzedDecoder("image tools", changed(PROBES), decode_probe),
)  # fmt: skip
"""Every decoder of what others wrote."""
os.environ.setdefault("TZ", "UTC")
