"""What the libraries cost that memtop uses in part: imports, and decoding with their models beside msgspec's.

    python benchmarks/dependencies.py [--pods 10000] [--series 1000]

Every figure is of a Python process of its own: CPU of the step, and by how much the peak of the process's
memory rose (Linux). Pods are those of `tests/recordings/pods-all.json` over and over. A series of Prometheus
has 1,440 samples.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import machine, mib, seconds

ROOT = Path(__file__).parents[1]

CHILD = """
import time
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
{before}
was, begun = peak(), time.process_time()
{step}
print(time.process_time() - begun, (peak() - was) * 1024)
"""

IMPORTS = (
    ("kubernetes, the client", "import kubernetes.client"),
    ("kubernetes.aio, the client", "import kubernetes.aio.client"),
    ("its HTTP session alone, with aiohttp", "import memtop.kube.transport"),
    ("aiohttp alone", "import aiohttp"),
    ("prometheus-api-client, the connection", "import prometheus_api_client.prometheus_connect"),
    ("requests alone", "import requests"),
    ("pydantic-settings", "from pydantic_settings import BaseSettings"),
    ("memtop's settings, with nothing given", "from config.invocation import parse; parse([], {})"),
)

POD_MODELS = """
from kubernetes.client import ApiClient
pods = ApiClient().deserialize(body, "V1PodList", "application/json").items
"""

MSGSPEC_PODS = """
from msgspec import Struct, json
from memtop.kube.api_objects import Pod
class Pods(Struct): items: list[Pod]
pods = json.decode(body, type=Pods).items
"""


def child(step: str, before: str = "") -> str:
    """Runs a step in a process of its own; its seconds of CPU and its memory, in words."""
    code = CHILD.format(before=before, step=step)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        return run.stderr.strip().splitlines()[-1]
    cpu, memory = (float(word) for word in run.stdout.split())
    return f"{seconds(cpu)} of CPU, {mib(memory)}"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--series", type=int, default=1_000)
    wanted = parser.parse_args()
    print(machine())
    for name, step in IMPORTS:
        print(f"import {name}: {child(step)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.json"
        recorded = json.loads((ROOT / "tests/recordings/pods-all.json").read_bytes())
        items = recorded["items"]
        recorded["items"] = [items[at % len(items)] for at in range(wanted.pods)]
        path.write_text(json.dumps(recorded))
        print(f"{wanted.pods} pods, {mib(path.stat().st_size)}")
        text, raw = f"body = open({str(path)!r}).read()", f"body = open({str(path)!r}, 'rb').read()"
        print(f"  kubernetes' models: {child(POD_MODELS, text + '; import kubernetes.client')}")
        print(f"  json: {child('import json; pods = json.loads(body)', raw)}")
        print(f"  msgspec: {child(MSGSPEC_PODS, raw)}")
        values = [[1_700_000_000 + 60 * at, str(100_000_000 + 1234 * at)] for at in range(1440)]
        result = [{"metric": {"pod": f"web-{at}"}, "values": values} for at in range(wanted.series)]
        path.write_text(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))
        print(f"{wanted.series} series of 1,440 samples, {mib(path.stat().st_size)}")
        lists = 'import json; found = json.loads(body)["data"]["result"]'
        print(f"  json, as prometheus-api-client answers: {child(lists, raw)}")
        arrays = "from memtop.history.prometheus_answers import read_query_answer as r; found = r(body)"
        print(f"  msgspec and numpy: {child(arrays, raw)}")


if __name__ == "__main__":
    main()
