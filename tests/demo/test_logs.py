import re
import threading

POD_PATH = "/api/v1/namespaces/production/pods"


def pod_named(api, app):
    return api.items(POD_PATH, labelSelector=f"app={app}")[0]["metadata"]["name"]


def log(api, name, **query):
    return api.get(f"{POD_PATH}/{name}/log", **query)


def test_what_a_leaking_service_says_before_it_dies(api):
    lines = log(api, pod_named(api, "user-service"), previous="true").body.decode().splitlines()
    text = "\n".join(lines)
    assert re.search(r"^\[WARN\] Heap usage: 1\.\d+GB / 2GB \(\d\d%\)$", text, re.MULTILINE)
    assert re.search(r"^\[GC\] Full GC took \d+\.\ds$", text, re.MULTILINE)
    assert lines[0].startswith("[INFO] user-service starting")
    assert lines[-1] == "[ERROR] Cannot allocate memory for large dataset"


def test_tail_and_bytes_are_the_end_and_the_beginning(api):
    name = pod_named(api, "user-service")
    whole = log(api, name, previous="true").body
    assert log(api, name, previous="true", tailLines=5).body.splitlines() == whole.splitlines()[-5:]
    assert log(api, name, previous="true", limitBytes=100).body == whole[:100]


def test_since_cuts_and_timestamps_rise(api):
    name = pod_named(api, "billing")
    lines = log(api, name, sinceSeconds=120, timestamps="true").body.decode().splitlines()
    stamps = [line.split(" ", 1)[0] for line in lines]
    assert stamps == sorted(stamps)
    assert stamps[0] >= "2026-11-22T15:58:00"
    same = log(api, name, sinceTime="2026-11-22T15:58:00Z", timestamps="true").body.decode().splitlines()
    assert same == lines


def test_reading_twice_reads_the_same(api):
    name = pod_named(api, "order-service")
    assert log(api, name, container="log-agent").body == log(api, name, container="log-agent").body


def test_errors_are_worded_as_the_real_ones(api):
    name = pod_named(api, "billing")
    missing = log(api, name, previous="true")
    assert missing.json["message"] == f'previous terminated container "billing" in pod "{name}" not found'
    unknown = log(api, name, container="no-such")
    assert unknown.json["message"] == f"container no-such is not valid for pod {name}"
    several = log(api, pod_named(api, "order-service"))
    assert "a container name must be specified for pod" in several.json["message"]
    assert {answer.status for answer in (missing, unknown, several)} == {400}
    assert log(api, "no-such-pod").status == 404


def test_follow_goes_on_and_ends_with_the_container(fresh, fresh_api):
    name = pod_named(fresh_api, "webhooks")
    followed = []
    reader = threading.Thread(
        target=lambda: followed.append(log(fresh_api, name, follow="true").body.decode())
    )
    reader.start()
    while reader.is_alive():
        fresh.advance(10)
        reader.join(0.05)
    assert followed[0].splitlines()[0] == "[INFO] webhooks starting, pid 1"
    assert followed[0].splitlines()[-1].startswith("[FATAL]")


def test_just_after_a_kill_the_run_before_is_already_gone(fresh, fresh_api):
    fullest = max(
        fresh_api.items(POD_PATH, labelSelector="app=user-service"),
        key=lambda pod: -pod["status"]["containerStatuses"][0]["restartCount"],
    )
    leaving = fresh.server.cluster.pods["production", fullest["metadata"]["name"]].mains[0].timeline
    now = fresh.server.cluster.clock.now()
    fresh.advance(leaving.runs(now)[-1].end - now + 0.5)
    answer = log(fresh_api, fullest["metadata"]["name"], previous="true")
    assert answer.status == 200
    assert answer.body.startswith(b"unable to retrieve container logs for containerd://")
