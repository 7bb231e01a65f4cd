"""The embedded cluster as a child process, for `memtop --demo`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

DEFAULT_PODS = 60
DEFAULT_SEED = 7
STOP_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of the demo; the fields are `DemoServer`'s."""

    pods: int = DEFAULT_PODS
    speed: float = 1.0
    seed: int = DEFAULT_SEED
    churn: float = 0.0
    containers: int = 1


class DemoFailedError(Exception):
    """The child process did not start; the message has the last line of its stderr."""


class DemoChild:
    """A context manager that runs the demo cluster in a process of its own.

    Attributes:
        kubeconfig: path of the kubeconfig, known once `wait` has returned.
    """

    def __init__(self, options: DemoOptions | None = None) -> None:
        self._options = options or DemoOptions()
        self._folder = tempfile.TemporaryDirectory(prefix="memtop-demo-")
        self.kubeconfig = Path(self._folder.name) / "kubeconfig"
        # A file: a pipe that nobody reads would block the child once it is full.
        self._stderr = (Path(self._folder.name) / "stderr").open("w+b")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the process; `wait` returns once it serves."""
        options = self._options
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "memtop.demo", "--child", "--kubeconfig", str(self.kubeconfig)),
                *("--pods", str(options.pods), "--speed", str(options.speed), "--seed", str(options.seed)),
                *("--churn", str(options.churn), "--containers", str(options.containers)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
            # A zipapp puts its packages on its own path only.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        return self

    def wait(self) -> Path:
        """Wait until the cluster serves and return the path of its kubeconfig.

        Raises:
            DemoFailedError: the process ended before it served.
        """
        process = self._process
        assert process is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.wait()
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").strip().splitlines()
            raise DemoFailedError(f"the demo cluster did not start: {lines[-1] if lines else 'no output'}")
        return Path(json.loads(line)["kubeconfig"])

    def __exit__(self, *_: object) -> None:
        """End the process and remove its folder."""
        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self._stderr.close()
        self._folder.cleanup()
