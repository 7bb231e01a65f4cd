"""Our descriptions beside those of whatever kubectl is installed."""

import asyncio
import difflib
import json
import re
import shutil
import subprocess
import time
from dataclasses import replace

import pytest

from memtop.describe.description import describe_object
from memtop.describe.description_facts import gather_facts
from memtop.describe.formatting import ZonedNow
from memtop.kube.client import Client
from memtop.kube.kubeconfig import load_target
from memtop.kube.object_ref import ObjectRef

SAME_WORDS = range(30, 34)
"""Minor versions of kubectl with the words and the alignment that we have, but for `_LATER`."""
_LATER = {"Namespace:": 33}  # a DaemonSet's
_UNLIKE = re.compile(
    r"^\s*(?:Service Account|Node-Selectors?|Tolerations|Priority Class Name|Completion Mode|Suspend|"
    r"Backoff Limit|Pods Statuses|OldReplicaSets|QoS Class|TTL Seconds After Finished|Time Zone|"
    r"Kube-Proxy Version|Service Name|Pod Management Policy|Namespace):"
)
"""Fields that came, went or changed their words between kubectl 1.20 and 1.37."""
_AGE = re.compile(
    r"(?<![\w.-])\d+[smhdy](?:\d+[smhd])?(?![\w.-])(?: \(x\d+ over \d+[smhdy](?:\d+[smhd])?\))?"
)
_TIME = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d")
_TRIES = 20


def find_kubectl(config):
    """kubectl and the minor version of it that talks to this server; skips where there is none."""
    path = shutil.which("kubectl")
    if path is None:
        pytest.skip("kubectl is not installed")
    asked = subprocess.run(
        [path, "--kubeconfig", str(config), "version", "-o", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not asked.stdout:
        pytest.skip(f"kubectl does not say its version: {asked.stderr.strip()}")
    return path, int(re.match(r"\d+", json.loads(asked.stdout)["clientVersion"]["minor"])[0])


def printed(kubectl, config, ref):
    """What kubectl prints of an object."""
    scope = ["-n", ref.namespace] if ref.namespace else []
    answer = subprocess.run(
        [kubectl, "--kubeconfig", str(config), *scope, "describe", ref.kind.lower(), ref.name],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return answer.stdout.rstrip("\n").split("\n")


async def ours(config, ref, minor):
    """What we say of it, in the words of the kubectl beside it and not in those of the server's version."""
    async with Client(load_target(kubeconfig=str(config))) as client:
        known = await gather_facts(client, ref)
        return describe_object(replace(known, minor=minor), ZonedNow(time.time()))


def comparable(lines, minor, kind, theirs):
    """The lines without what moves with time; without alignment for a kubectl of other words than ours."""
    found, events, exact = [], [], minor in SAME_WORDS
    section = ""
    for line in lines:
        if kind == "Node":  # its heart beats in between
            line = _TIME.sub("TIME", line)  # noqa: PLW2901
            line = re.sub(r"(Failed to get lease):.*", r"\1", line)  # noqa: PLW2901
        if line and not line.startswith(" "):
            section = line.partition(":")[0]
        if section in {"Events", "Non-terminated Pods"}:
            # Where columns stand depends on the ages in them.
            (events if section == "Events" else found).append(" ".join(_AGE.sub("AGE", line).split()))
        elif exact:
            later = _LATER.get(line.split(" ")[0], 0)
            if theirs or kind != "DaemonSet" or minor >= later:
                found.append(line)
        elif not _UNLIKE.match(line):
            found.append(" ".join(line.split()))
    if not exact and kind == "Node":
        return [line.lower() for line in found]  # older ones ask for fewer events, and write AGE
    dashes = [line for line in events if not set(line) <= {"-", " "}]
    return found + sorted(dashes)


async def assert_same(config, ref):
    """Asserts that we print what kubectl prints; looks again where the object changed in between."""
    kubectl, minor = find_kubectl(config)
    if ref.kind == "CronJob" and minor < 25:
        pytest.skip("this kubectl asks for batch/v1beta1")
    for _ in range(_TRIES):
        own = comparable(await ours(config, ref, minor), minor, ref.kind, False)
        printed_lines = await asyncio.to_thread(printed, kubectl, config, ref)
        peer = comparable(printed_lines, minor, ref.kind, True)
        if own == peer:
            return
    changes = difflib.unified_diff(peer, own, "kubectl", "memtop", lineterm="", n=1)
    pytest.fail(f"{ref} reads otherwise than in kubectl\n" + "\n".join(changes))


def referred(items, kind):
    """References to the objects of a list."""
    return [
        ObjectRef(kind, item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in items
    ]
