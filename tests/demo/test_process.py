"""The demo as a process: `python -m memtop.demo`, and as the child of another."""

import json
import os
import select
import signal
import stat
import subprocess
import sys
import urllib.request

import pytest
import yaml

from memtop.demo.child_process import DemoChild, DemoFailedError, DemoOptions


def pods(kubeconfig):
    server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    with urllib.request.urlopen(f"{server}/api/v1/pods", timeout=10) as response:
        return len(json.loads(response.read())["items"])


def test_a_child_serves_until_it_is_left():
    with DemoChild(DemoOptions(pods=40)) as child:
        kubeconfig = child.wait()
        assert pods(kubeconfig) == pytest.approx(40, abs=5)
        assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
        server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    assert not kubeconfig.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(server, timeout=5)


def test_a_child_that_cannot_start_says_why():
    with DemoChild(DemoOptions(containers=9)) as child, pytest.raises(DemoFailedError, match="containers"):
        child.wait()


def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    program = (
        "import sys, time\n"
        "from memtop.demo.child_process import DemoChild\n"
        "with DemoChild() as child:\n"
        "    child.wait()\n"
        "    print(child._process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    descriptor = os.pidfd_open(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ready, _, _ = select.select([descriptor], [], [], 10)
    os.close(descriptor)
    assert ready


def test_serving_alone_writes_a_kubeconfig_and_ends_on_sigterm(tmp_path):
    kubeconfig = tmp_path / "deep" / "kubeconfig"
    process = subprocess.Popen(
        [sys.executable, "-m", "memtop.demo", "--kubeconfig", str(kubeconfig)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(3)]
    assert f"KUBECONFIG={kubeconfig}" in said[1]
    assert pods(kubeconfig) > 50
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stdout.close()


def test_the_child_looks_for_modules_where_its_parent_does(tmp_path, monkeypatch):
    """As in a zipapp, whose packages are on the path of its own process only."""
    marker = tmp_path / "seen"
    (tmp_path / "sitecustomize.py").write_text(f"open({str(marker)!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    with DemoChild(DemoOptions(pods=5)) as child:
        child.wait()
    assert marker.exists()
