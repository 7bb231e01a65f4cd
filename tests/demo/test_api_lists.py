from memtop.demo.thread import DemoThread

PRODUCTION = "/api/v1/namespaces/production/pods"


def names(items):
    return [item["metadata"]["name"] for item in items]


def test_the_cast_is_there(api):
    kinds = {
        (pod["metadata"]["namespace"], pod["metadata"]["labels"].get("app"))
        for pod in api.items("/api/v1/pods")
    }
    assert {("production", "user-service"), ("payments", "ledger"), ("kube-system", "node-agent")} <= kinds


def test_something_was_just_killed_and_something_is_about_to_be(api):
    pods = api.items(PRODUCTION, labelSelector="app=user-service")
    ends = [pod["status"]["containerStatuses"][0]["lastState"]["terminated"] for pod in pods]
    assert {end["reason"] for end in ends} == {"OOMKilled"}
    assert max(end["finishedAt"] for end in ends) > "2026-11-22T15:50:00Z"
    usage = api.items(
        "/apis/metrics.k8s.io/v1beta1/namespaces/production/pods", labelSelector="app=user-service"
    )
    fullest = max(int(item["containers"][0]["usage"]["memory"].removesuffix("Ki")) for item in usage)
    assert 0.88 < fullest / (2 << 20) < 1.0


def test_pages_add_up_to_the_whole(api):
    whole = names(api.items("/api/v1/pods"))
    pages, token, remaining = [], "", None
    while True:
        page = api.get("/api/v1/pods", limit=7, **({"continue": token} if token else {})).json
        if remaining is not None:
            assert len(page["items"]) == min(7, remaining)
        pages += names(page["items"])
        token = page["metadata"].get("continue", "")
        remaining = page["metadata"].get("remainingItemCount", 0)
        if not token:
            break
    assert pages == whole


def test_the_watch_cache_knows_no_pages(api):
    listed = api.get("/api/v1/pods", limit=5, resourceVersion="0").json
    assert len(listed["items"]) > 5
    assert "continue" not in listed["metadata"]


def test_selectors(api):
    assert len(api.items(PRODUCTION, labelSelector="app in (user-service,billing),tier!=frontend")) == 5
    node = api.items("/api/v1/pods", fieldSelector="spec.nodeName=node-1,status.phase!=Succeeded")
    assert node
    assert {pod["spec"]["nodeName"] for pod in node} == {"node-1"}
    name = names(api.items(PRODUCTION))[0]
    assert names(api.items(PRODUCTION, fieldSelector=f"metadata.name={name}")) == [name]
    events = api.items("/api/v1/events", fieldSelector="involvedObject.kind=Pod,reason=BackOff")
    assert {event["reason"] for event in events} == {"BackOff"}


def test_a_field_that_cannot_be_selected_by_is_refused(api):
    answer = api.get(PRODUCTION, fieldSelector="spec.color=red")
    assert answer.status == 400
    assert "field label not supported: spec.color" in answer.json["message"]


def test_metadata_only_and_tables(api):
    partial = api.request(
        "GET",
        "/apis/apps/v1/replicasets",
        headers={"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"},
    ).json
    assert partial["kind"] == "PartialObjectMetadataList"
    assert set(partial["items"][0]) == {"kind", "apiVersion", "metadata"}
    table = api.request(
        "GET", PRODUCTION, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    ).json
    assert table["columnDefinitions"][2]["name"] == "Status"
    assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"])


def test_stories_besides_leaks(api):
    pods = {pod["metadata"]["name"]: pod for pod in api.items("/api/v1/pods")}

    def status(prefix):
        return next(pod["status"] for name, pod in pods.items() if name.startswith(prefix))

    assert status("webhooks")["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    indexer = status("search-indexer")["containerStatuses"][0]["lastState"]["terminated"]
    assert (indexer["exitCode"], indexer["reason"]) == (137, "Error")
    assert status("nightly-report")["phase"] == "Succeeded"
    assert any(pod["status"].get("reason") == "Evicted" for pod in pods.values())
    assert status("order-service")["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    pressed = [
        node["metadata"]["name"]
        for node in api.items("/api/v1/nodes")
        if {"type": "MemoryPressure", "status": "True"}.items()
        <= next(c for c in node["status"]["conditions"] if c["type"] == "MemoryPressure").items()
    ]
    assert pressed == ["node-2"]


def test_unknown_things(api):
    pod = api.get(f"{PRODUCTION}/no-such-pod")
    assert (pod.status, pod.json["message"]) == (404, 'pods "no-such-pod" not found')
    group = api.get("/apis/no.such.group/v1/things")
    assert (group.status, group.body) == (404, b"404 page not found\n")
    future = api.get("/api/v1/pods", resourceVersion="999999999")
    assert (future.status, future.json["details"]["retryAfterSeconds"]) == (504, 1)


def test_absent_namespaces_are_empty(api):
    assert api.items("/api/v1/namespaces/no-such-namespace/pods") == []


def test_the_same_seed_makes_the_same_world(api, frozen):
    with DemoThread(speed=0, epoch=frozen.server.cluster.clock.epoch) as twin:
        other = type(api)(twin)
        assert other.get("/api/v1/pods").json["items"] == api.get("/api/v1/pods").json["items"]
        path = "/apis/metrics.k8s.io/v1beta1/pods"
        assert other.get(path).body == api.get(path).body


def test_server_time_is_simulated_time(api, frozen):
    assert api.get("/version").headers["Date"] == "Sun, 22 Nov 2026 16:00:00 GMT"
    assert api.get("/demo/clock").json == {"now": frozen.server.cluster.clock.epoch, "speed": 0}


def test_as_many_pods_as_asked_for(as_user):
    with DemoThread(pods=700, containers=2, speed=0) as demo:
        pods = as_user(demo).items("/api/v1/pods")
    assert 690 <= len(pods) <= 710
    assert sum(len(pod["spec"]["containers"]) == 2 for pod in pods) > 600
