"""What a pod says of its containers, on pods recorded from a real cluster and on made ones."""

import msgspec
import pytest

from memtop.kube.api_objects import Pod
from memtop.kube.pod_facts import ContainerKind, StateSeverity, container_facts


@pytest.fixture
def recorded(recording):
    def facts(name):
        return container_facts(msgspec.json.decode(recording(name), type=Pod))

    return facts


def made(status, *, spec=None, metadata=None):
    return container_facts(
        msgspec.convert(
            {
                "metadata": {"name": "p", "namespace": "ns", "uid": "u"} | (metadata or {}),
                "spec": {"containers": [{"name": "c"}]} | (spec or {}),
                "status": status,
            },
            Pod,
        )
    )


def container_status(state, **more):
    return {"containerStatuses": [{"name": "c", "state": state} | more]}


@pytest.mark.parametrize(
    ("name", "state", "severity", "last", "restarts"),
    [
        ("phase-terminated-pod.json", "OOMKilled", StateSeverity.OOM, "OOMKilled", 4),
        ("phase-waiting-pod.json", "CrashLoopBackOff", StateSeverity.OOM, "OOMKilled", 4),
        ("phase-running-pod.json", "Running", StateSeverity.RUNNING, "OOMKilled", 5),
        ("pod-crashloop.json", "CrashLoopBackOff", StateSeverity.FAILING, "Error (1)", 7),
        ("pod-node-v8-heap-limit.json", "CrashLoopBackOff", StateSeverity.FAILING, "Error (139)", 4),
        ("pod-exit137-not-oom.json", "Running", StateSeverity.RUNNING, "killed (137)", 1),
        ("pod-completed-job.json", "Completed", StateSeverity.DONE, "Completed", 0),
    ],
)
def test_a_recorded_container_that_has_ended(recorded, name, state, severity, last, restarts):
    fact = recorded(name)[0]
    assert (fact.state, fact.severity, fact.terminations[-1].words(), fact.restarts) == (
        state,
        severity,
        last,
        restarts,
    )


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("pod-errimageneverpull.json", "ErrImageNeverPull"),
        ("pod-pending-unschedulable.json", "Unschedulable"),
    ],
)
def test_a_recorded_container_that_cannot_start_asks_for_attention(recorded, name, state):
    fact = recorded(name)[0]
    assert (fact.state, fact.severity, fact.terminations, fact.started_at) == (
        state,
        StateSeverity.FAILING,
        (),
        None,
    )


def test_only_a_running_container_has_a_start(recorded):
    assert recorded("phase-running-pod.json")[0].started_at == 1795347714.0
    assert recorded("phase-waiting-pod.json")[0].started_at is None
    assert recorded("phase-terminated-pod.json")[0].started_at is None


def test_a_container_just_killed_tells_of_this_end_and_of_the_one_before(recorded):
    older, newer = recorded("phase-terminated-pod.json")[0].terminations
    assert older.finished_at < newer.started_at < newer.finished_at


def test_an_oom_kill_is_told_from_a_kill_from_outside(recorded):
    assert recorded("pod-user-service-oomkilled.json")[0].terminations[-1].oom
    outside = recorded("pod-exit137-not-oom.json")[0].terminations[-1]
    assert outside.exit_code == 137
    assert not outside.oom


def test_limits_and_requests_are_bytes(recorded):
    fact = recorded("pod-user-service-oomkilled.json")[0]
    assert (fact.limit, fact.request) == (128 * 2**20, 64 * 2**20)


def test_without_a_limit_there_is_none_rather_than_zero(recorded):
    fact = recorded("pod-besteffort-no-limit.json")[0]
    assert (fact.limit, fact.request) == (None, None)


@pytest.mark.parametrize("limit", ["0", "a lot", ""])
def test_a_limit_that_limits_nothing_is_none(limit):
    spec = {"containers": [{"name": "c", "resources": {"limits": {"memory": limit}}}]}
    assert made({}, spec=spec)[0].limit is None


def test_ordinary_containers_come_before_init_containers(recorded):
    facts = recorded("pod-multi-container.json")
    assert [(fact.name, fact.kind) for fact in facts] == [
        ("order-service", ContainerKind.CONTAINER),
        ("log-agent", ContainerKind.CONTAINER),
        ("migrate", ContainerKind.INIT),
    ]
    assert facts[2].state == "Completed"


def test_an_init_container_that_always_restarts_is_a_sidecar():
    spec = {
        "containers": [{"name": "c"}],
        "initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "setup"}],
    }
    status = {
        "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}],
        "initContainerStatuses": [
            {"name": "proxy", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
            {"name": "setup", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
        ],
    }
    main, proxy, setup = made(status, spec=spec)
    assert (main.state, main.severity) == ("PodInitializing", StateSeverity.WAITING)
    assert (proxy.kind, proxy.state) == (ContainerKind.SIDECAR, "Running")
    assert (setup.kind, setup.state, setup.severity) == (
        ContainerKind.INIT,
        "Error (3)",
        StateSeverity.FAILING,
    )


def test_an_evicted_pod_says_so_for_every_container():
    status = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    assert [(fact.state, fact.severity) for fact in made(status)] == [("Evicted", StateSeverity.FAILING)]


def test_a_pod_that_is_being_deleted_is_terminating():
    running = container_status({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    fact = made(running, metadata={"deletionTimestamp": "2026-01-01T00:10:00Z"})[0]
    assert (fact.state, fact.severity) == ("Terminating", StateSeverity.WAITING)


@pytest.mark.parametrize(
    ("reason", "severity"),
    [
        ("ContainerCreating", StateSeverity.WAITING),
        ("ImagePullBackOff", StateSeverity.FAILING),
        ("CreateContainerConfigError", StateSeverity.FAILING),
    ],
)
def test_waiting_is_harmless_only_where_it_is_usual(reason, severity):
    fact = made(container_status({"waiting": {"reason": reason}}))[0]
    assert (fact.state, fact.severity) == (reason, severity)


def test_a_pod_without_any_status_is_pending():
    assert made({})[0].state == "Pending"


def test_the_zero_time_of_the_api_is_unknown():
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "0001-01-01T00:00:00Z"}}
    assert made(container_status(ended))[0].terminations[0].finished_at is None


def test_escape_sequences_in_reasons_do_not_get_through():
    fact = made(container_status({"waiting": {"reason": "\x1b[31mBad\x1b]0;title\x07"}}))[0]
    assert fact.state == "Bad"
