import itertools

from memtop.demo.thread import DemoThread

PODS = "/api/v1/namespaces/production/pods"
DEPLOYMENT = "/apis/apps/v1/namespaces/production/deployments/user-service"


def version(api):
    return api.get(PODS).json["metadata"]["resourceVersion"]


def test_a_watch_without_a_version_begins_with_what_is_there(fresh_api):
    count = len(fresh_api.items(PODS))
    events = list(itertools.islice(fresh_api.watch(PODS), count))
    assert {event["type"] for event in events} == {"ADDED"}


def test_an_oom_kill_arrives_as_three_changes(fresh, fresh_api):
    events = fresh_api.watch(PODS, resourceVersion=version(fresh_api), labelSelector="app=user-service")
    states = []
    fresh.advance(1800)
    for event in events:
        container = event["object"]["status"]["containerStatuses"][0]
        if container["restartCount"] >= 10 and (states or "terminated" in container["state"]):
            states.append(
                (next(iter(container["state"])), container["lastState"].get("terminated", {}).get("reason"))
            )
        if len(states) == 3:
            break
    assert states == [("terminated", "OOMKilled"), ("waiting", "OOMKilled"), ("running", "OOMKilled")]


def test_bookmarks_carry_versions(fresh_api):
    events = fresh_api.watch(PODS, resourceVersion=version(fresh_api), allowWatchBookmarks="true")
    mark = next(events)
    assert mark["type"] == "BOOKMARK"
    assert int(mark["object"]["metadata"]["resourceVersion"]) >= 1


def test_a_watch_resumes_without_a_gap(fresh, fresh_api):
    before = version(fresh_api)
    fresh.advance(1800)
    first = next(fresh_api.watch(PODS, resourceVersion=before))
    rest = next(fresh_api.watch(PODS, resourceVersion=first["object"]["metadata"]["resourceVersion"]))
    assert int(rest["object"]["metadata"]["resourceVersion"]) > int(
        first["object"]["metadata"]["resourceVersion"]
    )


def test_a_stale_watch_says_410_in_an_event_and_a_stale_list_in_its_status(fresh, fresh_api):
    before = version(fresh_api)
    page = fresh_api.get(PODS, limit=2).json["metadata"]["continue"]
    fresh.call(fresh.server.expire_watches)
    events = list(fresh_api.watch(PODS, resourceVersion=before))
    assert [event["type"] for event in events] == ["ERROR"]
    assert (events[0]["object"]["code"], events[0]["object"]["reason"]) == (410, "Expired")
    assert fresh_api.get(PODS, limit=2, **{"continue": page}).status == 410


def test_open_watches_can_be_expired(fresh, fresh_api):
    events = fresh_api.watch(PODS, resourceVersion=version(fresh_api), allowWatchBookmarks="true")
    next(events)
    fresh.call(fresh.server.expire_watches)
    rest = [event for event in events if event["type"] != "BOOKMARK"]
    assert [event["object"]["code"] for event in rest] == [410]


def test_a_watch_ends_when_it_was_asked_to(fresh_api):
    assert list(fresh_api.watch(PODS, resourceVersion=version(fresh_api), timeoutSeconds="1")) == []


def test_what_leaves_the_selection_is_deleted_from_it(fresh, fresh_api):
    listing = "/apis/apps/v1/namespaces/production/deployments"
    fresh_api.patch(DEPLOYMENT, {"metadata": {"labels": {"phase": "one"}}})
    current = fresh_api.get(listing).json["metadata"]["resourceVersion"]
    fresh_api.patch(DEPLOYMENT, {"metadata": {"labels": {"phase": "two"}}})
    event = next(fresh_api.watch(listing, resourceVersion=current, labelSelector="phase=one"))
    assert event["type"] == "DELETED"


def test_the_server_dies_and_comes_back_on_the_same_port(fresh, fresh_api):
    before, url = version(fresh_api), fresh.url
    events = fresh_api.watch(PODS, resourceVersion=before, allowWatchBookmarks="true")
    next(events)
    fresh.run(fresh.server.stop())
    assert all(event["type"] == "BOOKMARK" for event in events)
    fresh.run(fresh.server.start())
    assert fresh.url == url
    assert version(fresh_api) == before


def test_numbers_that_are_none_are_bad_requests(fresh_api):
    for path, query in (
        (PODS, {"limit": "many"}),
        (PODS, {"resourceVersion": "new"}),
        (PODS, {"watch": "1", "resourceVersion": "x"}),
    ):
        assert fresh_api.get(path, **query).status == 400


def test_churn_touches_and_replaces_ordinary_pods(as_user):
    with DemoThread(pods=80, churn=200) as demo:
        api = as_user(demo)
        count = len(api.items("/api/v1/pods"))
        seen = set()
        for event in api.watch("/api/v1/pods", resourceVersion=version(api)):
            seen.add(event["type"])
            if seen == {"ADDED", "MODIFIED", "DELETED"}:
                break
        assert len(api.items("/api/v1/pods")) >= count


def test_events_expire(fresh, fresh_api, monkeypatch):
    monkeypatch.setattr("memtop.demo.cluster_events.MOST_EVENTS", 20)
    before = len(fresh_api.items("/api/v1/events"))
    for replicas in (8, 2, 8, 2):
        fresh_api.patch(f"{DEPLOYMENT}/scale", {"spec": {"replicas": replicas}}, "merge-patch+json")
        fresh.advance(30)
    assert len(fresh_api.items("/api/v1/events")) <= before
