"""A real Prometheus on this machine, with a past that is written by promtool."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.real.patience import PATIENCE

SCRAPE = 30.0


@dataclass(frozen=True)
class Written:
    """One series to be there.

    Attributes:
        name: The metric.
        labels: Its labels.
        times: Unix seconds, ascending.
        values: At those times.
    """

    name: str
    labels: Mapping[str, str]
    times: np.ndarray
    values: np.ndarray

    def lines(self) -> Iterator[str]:
        """It in OpenMetrics."""
        where = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        # A counter's samples end in _total, its family does not; as unknown, any name will do.
        yield f"# TYPE {self.name} unknown"
        for at, value in zip(self.times.tolist(), self.values.tolist(), strict=True):
            yield f"{self.name}{{{where}}} {value!r} {at:.3f}"


def available() -> bool:
    """Whether Prometheus and promtool are installed."""
    return bool(shutil.which("prometheus") and shutil.which("promtool"))


@contextlib.contextmanager
def prometheus(folder: Path, series: list[Written]) -> Iterator[str]:
    """Runs Prometheus with the series in it.

    Yields:
        Its address.
    """
    by_name: dict[str, list[Written]] = {}
    for one in series:
        by_name.setdefault(one.name, []).append(one)
    text = folder / "past.om"
    with text.open("w") as stream:
        for group in by_name.values():
            for number, one in enumerate(group):
                lines = one.lines()
                if number:
                    next(lines)  # a family has one TYPE
                stream.writelines(f"{line}\n" for line in lines)
        stream.write("# EOF\n")
    data = folder / "data"
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)],
        check=True,
        capture_output=True,
    )
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                "--storage.tsdb.retention.time=30d",
                f"--web.listen-address={address}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _wait(f"http://{address}/-/ready", process, folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    raise RuntimeError(f"Prometheus did not start: {log.read_text()[-2000:]}")
