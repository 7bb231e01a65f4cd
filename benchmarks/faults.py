"""memtop's engine through one fault of its servers after another; a table of what became of it.

    python benchmarks/faults.py [--sample 24] [--seed 1] [--only prom]

Each kind of answer is put in the place of each kind of request of the embedded cluster, for two seconds,
while an engine goes on observing; its streams are cut first, so that it has to ask. (Prometheus is asked for
much at the start only, so an engine of its own starts with each of its faults.) Then the faults are lifted
and the waits are ended, as the key ``r`` does. Columns: whether the engine lives (an end, or a frame that
fails, counts as no), seconds until every source is live again and all pods are there, requests that met the
fault, and the memory of this process, the embedded cluster included. Exit code 1 if anything ended the engine
or did not recover within `PATIENCE` seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from figures import machine

from config.settings import PrometheusSettings
from memtop.demo.faults import Fault, Harm
from memtop.demo.thread import DemoThread
from memtop.kube.kubeconfig import load_target
from memtop.observe.engine import Engine
from memtop.observe.frame import Frame
from memtop.observe.view import Scope, SourceCondition
from memtop.observe.watchlist import HistorySettings, Watchlist

HOLD = 2.0
MOST_UNMET = 5.0
"""Seconds until a request should have met the fault."""
PATIENCE = 40.0
JSON = {"Content-Type": "application/json"}
REQUESTS = {
    "pods": r"/api/v1/pods\b",
    "metrics": r"metrics\.k8s\.io",
    "nodes": r"/api/v1/nodes\b",
    "owners": r"/(replicasets|jobs)\b",
    "prom": r"/proxy/",
    "all": "",
}


def status(code: int, **details: object) -> bytes:
    """A Status object, as an API server refuses."""
    return json.dumps(
        {"kind": "Status", "code": code, "message": "made to fail", "details": details}
    ).encode()


def swelling(mebibytes: int) -> bytes:
    """Gzip of so many MiB of spaces."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(squeeze.compress(b" " * (1 << 20)) for _ in range(mebibytes)) + squeeze.flush()


def answer(body: bytes, code: int = 200, **headers: str) -> dict[str, object]:
    """The fields of a fault that answers so."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"harm": Harm.ANSWER, "status": code, "body": body, "headers": JSON | named}


def listed(item: bytes) -> dict[str, object]:
    """A list with one item."""
    return answer(b'{"kind":"List","metadata":{"resourceVersion":"1"},"items":[' + item + b"]}")


KINDS: dict[str, dict[str, object]] = {
    "500": answer(status(500), 500),
    "503 in plain text": answer(b"service unavailable\n", 503, Content_Type="text/plain"),
    "401": answer(status(401), 401),
    "403": answer(status(403), 403),
    "410": answer(status(410), 410),
    "410 in a stream": answer(b'{"type":"ERROR","object":' + status(410) + b"}\n"),
    "429, one second": answer(status(429), 429, Retry_After="1"),
    "429, for ever": answer(status(429, retryAfterSeconds=2**31 - 1), 429, Retry_After="9" * 20),
    "a login page": answer(b"<html><title>Log in</title>", Content_Type="text/html"),
    "a redirect": answer(b"", 302, Location="https://login.example/?token=x"),
    "nothing": answer(b""),
    "JSON cut short": answer(b'{"kind":"List","items":[{"metadata":{"name":"a'),
    "JSON 100,000 deep": listed(b'{"metadata":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"),
    "other shapes": answer(b'{"kind":"List","metadata":[],"items":{"a":1}}'),
    "bytes, not UTF-8": listed(b'{"metadata":{"name":"a\xff","uid":"u","namespace":"x"}}'),
    "numbers without end": listed(b'{"metadata":{"name":"a","uid":"u"},"timestamp":"9999-12-31T23:59:59Z",'
                                  b'"containers":[{"name":"c","usage":{"memory":"' + b"9" * 5000 + b'"}}]}'),
    "1e999": answer(b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},'
                    b'"values":[[1e999,"1e308"]]}]}}'),
    "gzip that swells": answer(swelling(600), Content_Encoding="gzip"),
    "a date beyond all": answer(status(500), 500, Date="Fri, 31 Dec 9999 23:59:59 GMT"),
    "no answer": {"harm": Harm.HANG},
    "closed at once": {"harm": Harm.DROP},
    "cut in the middle": {"harm": Harm.CUT},
    "a line without end": {"harm": Harm.ENDLESS_LINE},
    "late": {"harm": Harm.DELAY, "seconds": 1.0},
}  # fmt: skip


class Watched:
    """An engine and the newest of what it said."""

    def __init__(self, plan: Watchlist) -> None:
        self.plan = plan
        self.frame: Frame | None = None
        self.crash: BaseException | None = None
        self.troubles: list[str] = []
        self.engine = Engine(plan, self._arrived, self._crashed, on_trouble=self.troubles.append)

    def _arrived(self, frame: Frame) -> None:
        self.frame = frame

    def _crashed(self, error: BaseException) -> None:
        self.crash = error

    def well(self, pods: int) -> bool:
        """Whether every source is live and all pods are there."""
        frame = self.frame
        if frame is None or frame.counts.pods < pods:
            return False
        return all(source.state is SourceCondition.LIVE for source in frame.sources)

    def wait(self, holds: Callable[[], bool]) -> float | None:
        """Seconds until something holds; None if it does not within `PATIENCE`."""
        begun = time.monotonic()
        while self.crash is None and time.monotonic() - begun < PATIENCE:
            if holds():
                return time.monotonic() - begun
            time.sleep(0.05)
        return None


def memory() -> int:
    """Resident MiB of this process, the embedded cluster included."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmRSS"))


def run(watched: Watched, demo: DemoThread, pods: int, request: str, kind: str) -> bool:
    """One scenario and its line; whether all went well."""
    fault = Fault(path=REQUESTS[request], **KINDS[kind])  # type: ignore[arg-type]
    demo.call(lambda: demo.server.faults.add(fault))
    if request == "prom":
        watched = Watched(watched.plan)
        watched.engine.start()
    else:
        demo.run(demo.server.stop())  # cuts the streams that are open
        demo.run(demo.server.start())
        watched.engine.retry()
    met_until = time.monotonic() + MOST_UNMET
    while not fault.hits and time.monotonic() < met_until:
        time.sleep(0.05)
    time.sleep(HOLD)
    demo.call(demo.server.faults.clear)
    watched.engine.retry()
    recovered = watched.wait(lambda: watched.well(pods))
    alive = watched.crash is None and not watched.troubles
    told = "" if recovered is not None or watched.frame is None else str(watched.frame.sources)
    shown = "never" if recovered is None else f"{recovered:.1f} s"
    if not fault.hits:
        told = f"met no request {told}"
    lives = "yes" if alive else "NO"
    print(f"{request:8} {kind:20} {lives:5} {shown:>7} {fault.hits:5} {memory():5} MiB  {told}", flush=True)
    watched.troubles.clear()
    if request == "prom":
        watched.engine.stop()
    return alive and recovered is not None


def main() -> int:
    """Runs the scenarios and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, default=0, help="so many of them; 0 for all")
    parser.add_argument("--seed", type=int, default=1, help="which, and in which order")
    parser.add_argument("--only", default="", help="one kind of request")
    chosen = parser.parse_args()
    scenarios = [(request, kind) for request in REQUESTS for kind in KINDS if chosen.only in request]
    random.Random(chosen.seed).shuffle(scenarios)
    scenarios = scenarios[: chosen.sample or None]
    print(machine())
    print(f"{'request':8} {'answer':20} alive    well  hits  memory")
    failed = 0
    with tempfile.TemporaryDirectory() as folder, DemoThread(pods=20, seed=chosen.seed) as demo:
        path = Path(folder) / "kubeconfig"
        path.write_text(demo.kubeconfig(), encoding="utf-8")
        history = HistorySettings(PrometheusSettings(), Path(folder) / "samples")
        watched = Watched(
            Watchlist(load_target(kubeconfig=str(path)), Scope(), interval=1.0, history=history)
        )
        watched.engine.start()
        try:
            if watched.wait(lambda: watched.well(1)) is None:
                sys.exit(f"nothing to begin with: {watched.frame and watched.frame.sources}")
            assert watched.frame is not None
            pods = watched.frame.counts.pods
            for request, kind in scenarios:
                failed += not run(watched, demo, pods, request, kind)
                if watched.crash is not None:
                    print(f"ended: {watched.crash!r}")
                    break
        finally:
            watched.engine.stop()
    print(f"{len(scenarios)} scenarios, {failed} not as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
