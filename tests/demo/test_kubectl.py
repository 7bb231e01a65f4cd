"""Stock kubectl, unmodified, against the demo cluster."""

import os
import shutil
import subprocess

import pytest

from memtop.demo.thread import DemoThread

KUBECTL = shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


@pytest.fixture(scope="module")
def lively():
    """A cluster whose clock runs, so that rollouts finish by themselves."""
    with DemoThread(speed=30) as demo:
        yield demo


class Kubectl:
    """Runs kubectl against one cluster and returns what it printed."""

    def __init__(self, demo, home):
        self.demo = demo
        self.home = home

    def environment(self, user="admin"):
        config = self.home / user
        config.write_text(self.demo.kubeconfig(user))
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": str(config)}

    def __call__(self, *arguments, user="admin", code=0):
        done = subprocess.run(
            [KUBECTL, *arguments],
            env=self.environment(user),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + (done.stderr if code else "")


@pytest.fixture
def reading(frozen, tmp_path):
    """kubectl on a cluster that nobody changes."""
    return Kubectl(frozen, tmp_path)


@pytest.fixture
def changing(lively, tmp_path):
    """kubectl on a cluster where time passes."""
    return Kubectl(lively, tmp_path)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("pods", "user-service-"),
        ("deploy", "user-service"),
        ("rs", "user-service-"),
        ("sts", "session-cache"),
        ("ds", "node-agent"),
        ("jobs", "nightly-report-"),
        ("cronjobs", "0 2 * * *"),
        ("nodes", "node-2"),
        ("events", "BackOff"),
        ("namespaces", "payments"),
        ("services", "prometheus-service"),
        ("pdb", "user-service"),
        ("quota", "limits.memory: "),
        ("limits", "memory"),
        ("hpa", "Deployment/order-service"),
        ("vpa", "search-indexer"),
        ("controllerrevisions", "node-agent-"),
    ],
)
def test_get(reading, kind, expected):
    output = reading("get", kind, "-A", "-o", "wide")
    assert "AGE" in output or "LAST SEEN" in output or "CREATED AT" in output
    assert expected in output


def test_get_watches(fresh, tmp_path):
    watching = subprocess.Popen(
        [KUBECTL, "get", "pods", "-w", "-l", "app=user-service"],
        env=Kubectl(fresh, tmp_path).environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    first = [watching.stdout.readline() for _ in range(4)]
    assert first[0].startswith("NAME")
    fresh.advance(1800)
    states = [watching.stdout.readline().split()[2] for _ in range(2)]
    watching.kill()
    watching.wait()
    watching.stdout.close()
    assert states == ["OOMKilled", "CrashLoopBackOff"]


def test_top(reading):
    assert "Mi" in reading("top", "pods", "-A")
    assert "node-1" in reading("top", "nodes")
    assert "log-agent" in reading("top", "pods", "--containers")


def test_logs(reading):
    assert len(reading("logs", "deploy/billing", "--tail", "5", "--timestamps").splitlines()) == 5
    assert "level=info" in reading("logs", "deploy/order-service", "-c", "log-agent", "--since", "10m")
    everything = reading("logs", "deploy/order-service", "--all-containers", "--tail", "2")
    assert "level=info" in everything
    assert "migrations" in everything
    assert "Cannot allocate memory" in reading("logs", "-p", "deploy/user-service", "-n", "production")


def test_describe(reading):
    pod = reading("describe", "pod", "-l", "app=user-service")
    assert "OOMKilled" in pod
    assert "Exit Code:    137" in pod
    assert "Back-off restarting failed container" in pod
    assert "NewReplicaSet:" in reading("describe", "deploy", "user-service")
    node = reading("describe", "node", "node-2")
    assert "KubeletHasInsufficientMemory" in node
    assert "Non-terminated Pods" in node


def test_shipping_a_fix_and_taking_it_back(changing):
    changing("set", "image", "deploy/user-service", "user-service=user-service:v2.1.0", "--record")
    assert "successfully rolled out" in changing(
        "rollout", "status", "deploy/user-service", "--timeout", "50s"
    )
    assert "user-service:v2.1.0" in changing("rollout", "history", "deploy/user-service")
    changing("rollout", "undo", "deploy/user-service")
    changing("rollout", "status", "deploy/user-service", "--timeout", "50s")
    image = changing(
        "get", "deploy", "user-service", "-o", "jsonpath={.spec.template.spec.containers[0].image}"
    )
    assert image == "user-service:v2.0.0"


def test_limits_restart_pause_resume_scale(changing):
    changing("set", "resources", "deploy/billing", "-c", "billing", "--limits", "memory=2Gi")
    changing("rollout", "status", "deploy/billing", "--timeout", "50s")
    limit = changing("get", "deploy", "billing", "-o", "jsonpath={..limits.memory}")
    assert limit == "2Gi"
    changing("rollout", "pause", "deploy/billing")
    assert "restart paused deployment" in changing("rollout", "restart", "deploy/billing", code=1)
    changing("rollout", "resume", "deploy/billing")
    changing("rollout", "restart", "deploy/billing")
    changing("scale", "deploy/billing", "--replicas", "3")
    changing("rollout", "status", "deploy/billing", "--timeout", "50s")
    assert len(changing("get", "pods", "-l", "app=billing", "-o", "name").splitlines()) >= 3


def test_stateful_and_daemon_sets_roll(changing):
    for change in ("restart", "undo"):
        changing("rollout", change, "sts/postgres", "-n", "payments")
        changing("rollout", "status", "sts/postgres", "-n", "payments", "--timeout", "50s")
    assert len(changing("rollout", "history", "sts/postgres", "-n", "payments").splitlines()) >= 3
    changing("rollout", "restart", "ds/node-agent", "-n", "kube-system")
    changing("rollout", "status", "ds/node-agent", "-n", "kube-system", "--timeout", "50s")


def test_delete_waits_until_the_pod_is_gone(changing):
    name = changing("get", "pods", "-l", "app=search-indexer", "-o", "name").strip()
    assert "deleted" in changing("delete", name)
    assert name not in changing("get", "pods", "-o", "name").splitlines()


def test_auth(reading):
    assert reading("auth", "can-i", "patch", "deployments") == "yes\n"
    assert "no" in reading("auth", "can-i", "patch", "deployments", user="readonly", code=1)
    assert "pods" in reading("auth", "can-i", "--list", user="readonly")
    assert "forbidden" in reading("get", "nodes", user="one-namespace", code=1)


def test_who_am_i(reading):
    assert "readonly" in reading("auth", "whoami", user="readonly")


@pytest.mark.parametrize(
    "change",
    [
        ("set", "image", "deploy/user-service", "user-service=user-service:v2.1.0"),
        ("set", "resources", "deploy/user-service", "--limits", "memory=4Gi"),
        ("scale", "deploy/user-service", "--replicas", "5"),
        ("patch", "deploy/user-service", "-p", '{"spec":{"paused":true}}'),
        ("delete", "pod", "-l", "app=user-service"),
        ("delete", "deploy/user-service"),
        ("rollout", "undo", "deploy/user-service"),
    ],
)
def test_trying_a_change_changes_nothing(reading, change):
    before = reading.demo.server.cluster.store.version
    said = reading(*change, "--dry-run=server")
    assert "server dry run" in said or change[0] == "patch"  # which does not say so on a real cluster either
    assert reading.demo.server.cluster.store.version == before


def test_undo_goes_to_any_revision(fresh, tmp_path):
    kubectl = Kubectl(fresh, tmp_path)
    image = (
        "get",
        "deploy",
        "user-service",
        "-o",
        "jsonpath={..image} {..annotations.kubernetes\\.io/change-cause}",
    )
    kubectl("set", "image", "deploy/user-service", "user-service=user-service:v2.1.0")
    fresh.advance(120)
    kubectl("annotate", "deploy/user-service", "kubernetes.io/change-cause=fix", "--overwrite")
    fresh.advance(5)
    history = kubectl("rollout", "history", "deploy/user-service").splitlines()
    assert [line.split(None, 1)[0] for line in history[2:5]] == ["1", "2", "3"]
    assert history[4].endswith("fix")
    assert "user-service:v1.9.3" in kubectl("rollout", "history", "deploy/user-service", "--revision", "1")
    kubectl("rollout", "undo", "deploy/user-service", "--to-revision", "1")
    fresh.advance(120)
    assert kubectl(*image).startswith("user-service:v1.9.3 kubectl set image")
    left = kubectl("rollout", "history", "deploy/user-service").splitlines()[2:5]
    assert [line.split()[0] for line in left] == ["2", "3", "4"]


def test_a_stuck_rollout_fails_and_can_be_undone(fresh, tmp_path):
    kubectl = Kubectl(fresh, tmp_path)
    kubectl("set", "image", "deploy/billing", "billing=billing:5.0.0")
    fresh.advance(700)
    said = kubectl("rollout", "status", "deploy/billing", code=1)
    assert "exceeded its progress deadline" in said
    assert "ImagePull" in kubectl("get", "pods", "-l", "app=billing")
    kubectl("rollout", "undo", "deploy/billing")
    fresh.advance(30)
    assert "successfully rolled out" in kubectl("rollout", "status", "deploy/billing")


def test_describing_rules(reading):
    described = reading("describe", "quota,limits", "-n", "staging")
    assert "limits.memory" in described
    assert "Container" in described
    assert "Min available:  2" in reading("describe", "pdb", "user-service")
    assert "Deployment/order-service" in reading("describe", "hpa", "order-service")


def test_deleting_without_grace(fresh, tmp_path):
    kubectl = Kubectl(fresh, tmp_path)
    name = kubectl("get", "pods", "-l", "app=search-indexer", "-o", "name").strip()
    kubectl("delete", name, "--grace-period=0", "--force")
    assert name not in kubectl("get", "pods", "-o", "name").splitlines()
