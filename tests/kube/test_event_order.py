"""A pod's own events before its node's, and other pods' OOM kills in one line."""

from dataclasses import replace

from memtop.kube.core_events import KILL_TOLERANCE, ClusterEvent, events_of_pod, fold_oom_kills

OOM = ClusterEvent(
    "Node",
    "node-1",
    "",
    True,
    "SystemOOM",
    "System OOM encountered, victim process: python3, pid: 17",
    "kubelet",
    1,
    1000.0,
    1000.0,
)
POD = ClusterEvent("Pod", "app-1", "", True, "BackOff", "Back-off restarting", "kubelet", 3, 100.0, 200.0)
NODE = ClusterEvent("Node", "node-1", "", False, "Starting", "Starting kubelet.", "kubelet", 1, 50.0, 50.0)


def test_the_pods_own_come_before_the_nodes():
    told = events_of_pod([OOM, NODE, POD], [])
    assert (told.of_pod, told.node, told.unmatched_oom_kills) == ((POD,), (NODE,), (OOM,))


def test_a_kill_at_the_time_of_the_pods_is_the_pods():
    assert events_of_pod([OOM, POD], [1000.0 + KILL_TOLERANCE]).of_pod == (OOM, POD)
    assert events_of_pod([OOM, POD], [1000.0 + KILL_TOLERANCE + 1]).unmatched_oom_kills == (OOM,)


def test_of_a_repeated_one_the_first_or_the_last_time_may_match():
    repeated = replace(OOM, count=8, first=1000.0, last=9000.0)
    assert events_of_pod([repeated], [1001.0]).of_pod == (repeated,)
    assert events_of_pod([repeated], [8999.0]).of_pod == (repeated,)
    assert events_of_pod([repeated], [5000.0]).unmatched_oom_kills == (repeated,)


def test_a_kill_without_a_time_matches_nothing():
    assert events_of_pod([replace(OOM, first=None, last=None)], [0.0]).of_pod == ()


def test_the_others_are_counted_by_victim():
    others = [
        replace(OOM, count=30, first=400.0, last=3000.0),
        replace(OOM, message="Memory cgroup out of memory: Killed process 9 (java) total-vm:1kB", first=None),
        replace(OOM, message="something else", first=700.0, last=800.0),
    ]
    line = fold_oom_kills(others)
    assert (line.count, line.first, line.last) == (32, 400.0, 3000.0)
    assert line.message.endswith("than this pod's: python3 ×30, java ×1")
    assert not line.warning


def test_of_many_victims_the_most_frequent_are_named():
    others = [replace(OOM, message=f"victim process: p{i}, pid: 1", count=10 - i) for i in range(5)]
    assert fold_oom_kills(others).message.endswith(": p0 ×10, p1 ×9, p2 ×8 and others")
