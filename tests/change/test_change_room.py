"""Whether there is room: quotas, limit ranges, nodes; and disruption budgets."""

import json

import pytest

from memtop.change.change_request import SetMemory
from memtop.change.namespace_limits import (
    PodFootprint,
    ResourceDemand,
    budget_lines,
    limit_range_lines,
    peak_demand,
    pod_footprint,
    quota_lines,
    read_namespace_limits,
    selector_matches,
)
from memtop.change.node_capacity import NodeSpace, node_line, pod_level_lines, read_node_space
from memtop.kube.api_errors import ApiError
from tests.change.objects import container, ref

MIB = 1024 * 1024


def template(*containers, init=()):
    return {"spec": {"containers": list(containers), "initContainers": list(init)}}


def test_a_pod_asks_for_its_containers_together():
    two = template(container(limit="100Mi", request="50Mi"), container("side", limit="20Mi", request=""))
    assert pod_footprint(two) == PodFootprint(120 * MIB, 70 * MIB)  # without a request the limit is requested


def test_or_for_its_hungriest_init_container():
    one = template(container(limit="100Mi", request="50Mi"), init=[container("setup", limit="300Mi")])
    assert pod_footprint(one) == PodFootprint(300 * MIB, 128 * MIB)


def test_a_container_without_a_limit():
    assert pod_footprint(template(container(limit="", request="50Mi"))) == PodFootprint(None, 50 * MIB)


def test_a_sidecar_runs_beside_the_containers():
    sidecar = container("proxy", limit="64Mi", request="24Mi") | {"restartPolicy": "Always"}
    one = template(container(limit="96Mi", request="48Mi"), init=[sidecar])
    assert pod_footprint(one) == PodFootprint(160 * MIB, 72 * MIB)


def of_pod(found, limit="160Mi", request="96Mi"):
    found["spec"]["resources"] = {"limits": {"memory": limit}, "requests": {"memory": request}}
    return found


def test_the_resources_of_the_pod_itself_count():
    assert pod_footprint(of_pod(template(container(limit="", request="")))) == PodFootprint(
        160 * MIB, 96 * MIB
    )


def test_a_pod_that_requests_less_than_its_containers_can_never_be_made():
    ((weight, words),) = [
        (line.weight, line.text)
        for line in pod_level_lines(
            of_pod(
                template(container(limit="160Mi", request="80Mi"), container("b", limit="", request="40Mi"))
            )
        )
    ]
    assert weight == "critical"
    assert "its own request is 96 MiB, less than the 120 MiB that its containers request together" in words
    assert words.endswith("; raise the template's spec.resources.requests.memory first")


def test_a_container_may_not_have_a_higher_limit_than_its_pod():
    (line,) = pod_level_lines(of_pod(template(container(limit="1Gi", request="80Mi"))))
    assert "its own limit is 160 MiB, less than the 1 GiB of main" in line.text
    assert line.text.endswith("; raise spec.resources.limits.memory of the template first")


def test_a_pod_without_resources_of_its_own_allows_anything():
    assert not [*pod_level_lines(template(container(limit="1Gi", request="1Gi")))]


@pytest.mark.parametrize(
    ("old", "new", "had", "has", "surge", "more"),
    [
        (100, 200, 4, 4, 0, 400),
        (100, 200, 4, 4, 1, 500),  # four new ones and the last old one
        (200, 100, 4, 4, 1, 100),  # the first new one beside all old ones
        (100, 100, 4, 4, 2, 200),
        (100, 100, 4, 6, 0, 200),
        (100, 100, 4, 2, 0, 0),
    ],
)
def test_demand_at_the_peak(old, new, had, has, surge, more):
    found = peak_demand(PodFootprint(old, old), PodFootprint(new, new), had, has, surge)
    assert (found.limit, found.request, found.pods) == (more, more, has - had + surge)


def quota(hard, used, **spec):
    return {"metadata": {"name": "q"}, "spec": spec, "status": {"hard": hard, "used": used}}


ASKED = ResourceDemand(1, 400 * MIB, 100 * MIB)


def told(*quotas):
    return [(line.weight, line.text) for line in quota_lines(quotas, ASKED)]


def test_quota_with_room():
    ((weight, words),) = told(quota({"limits.memory": "2Gi"}, {"limits.memory": "1Gi"}))
    assert weight == "plain"
    assert "2 GiB of limits.memory, 1 GiB used: up to 400 MiB more fits" in words


def test_quota_without_room():
    ((weight, words),) = told(quota({"limits.memory": "2Gi"}, {"limits.memory": "1.8Gi"}))
    assert weight == "critical"
    assert "does not fit, so that pods will not be created" in words


def test_requests_and_pods_count_too_and_cpu_does_not():
    hard, used = {"requests.memory": "1Gi", "pods": "4", "cpu": "1"}, {"requests.memory": "0", "pods": "4"}
    found = told(quota(hard, used))
    assert sorted(weight for weight, _ in found) == ["critical", "plain"]
    assert sorted(weight for weight, _ in found) == ["critical", "plain"]
    assert any("4 of pods, 4 used: up to 1 more does not fit" in words for _, words in found)


def test_quotas_for_other_pods():
    assert not told(quota({"pods": "1"}, {"pods": "1"}, scopes=["BestEffort"]))
    assert not told(quota({"pods": "1"}, {"pods": "1"}, scopeSelector={"matchExpressions": [{}]}))
    assert told(quota({"pods": "1"}, {"pods": "1"}, scopes=["NotBestEffort"]))


def test_quotas_that_may_not_be_read():
    (line,) = quota_lines("quotas are forbidden", ASKED)
    assert "not known: quotas are forbidden" in line.text


def bounds(*containers, kind="Container", **item):
    limit_range = {"metadata": {"name": "lr"}, "spec": {"limits": [{"type": kind, **item}]}}
    return [(line.weight, line.text) for line in limit_range_lines([limit_range], template(*containers))]


def test_limit_ranges():
    assert bounds(container(), max={"memory": "1Gi"}) == [
        ("plain", "LimitRange/lr allows a container at most 1 GiB: it fits")
    ]
    ((weight, words),) = bounds(container(), max={"memory": "256Mi"})
    assert weight == "critical"
    assert "the container main at most 256 MiB, and it would have a limit of 512 MiB" in words
    ((_, words),) = bounds(container(request="8Mi"), min={"memory": "16Mi"})
    assert "at least 16 MiB" in words
    ((_, words),) = bounds(container(), container("b"), kind="Pod", max={"memory": "1000Mi"})
    assert "a limit of 1 GiB" in words


def test_limit_ranges_give_a_limit_to_what_has_none():
    assert bounds(container(limit=""), max={"memory": "1Gi"})[0][0] == "critical"
    assert bounds(container(limit=""), max={"memory": "1Gi"}, default={"memory": "512Mi"})[0][0] == "plain"


def test_limit_ranges_give_a_request_of_its_own_to_what_has_none():
    given = {"default": {"memory": "512Mi"}, "defaultRequest": {"memory": "64Mi"}}
    ((weight, words),) = bounds(container(limit="", request=""), min={"memory": "128Mi"}, **given)
    assert weight == "critical"
    assert "at least 128 MiB for the container main, and it would request 64 MiB" in words
    ((_, words),) = bounds(container(limit="", request=""), maxLimitRequestRatio={"memory": "4"}, **given)
    assert "512 MiB to 64 MiB" in words
    limited = bounds(container(limit="256Mi", request=""), min={"memory": "128Mi"}, **given)
    assert limited[0][0] == "plain", "where there is a limit, the request is that"


def test_a_limit_that_is_given_may_be_less_than_what_is_requested():
    ((weight, words),) = bounds(container(limit="", request="1Gi"), default={"memory": "512Mi"})
    assert weight == "critical"
    assert "gives the container main a limit of 512 MiB since it has none" in words
    assert "less than the 1 GiB it requests, so that pods will not be created" in words


def test_the_ratio_of_limit_and_request():
    ((weight, words),) = bounds(container(), maxLimitRequestRatio={"memory": "2"})
    assert weight == "critical"
    assert "2 times the request" in words
    assert not bounds(container(), maxLimitRequestRatio={"memory": "4"})


def test_limit_ranges_of_other_things_say_nothing_of_pods():
    assert not bounds(container(), kind="PersistentVolumeClaim", max={"memory": "1Mi"})


def test_nodes():
    spaces = [NodeSpace("a", 8 * 1024 * MIB, 1024 * MIB), NodeSpace("b", 4 * 1024 * MIB, 3 * 1024 * MIB)]
    assert "1 of 2 nodes have that left, b most with 3 GiB" in node_line(spaces, 2048 * MIB).text
    full = node_line(spaces, 3500 * MIB)
    assert full.weight == "critical"
    assert "may wait (Pending)" in full.text
    assert "no node is that large: a has 8 GiB" in node_line(spaces, 9000 * MIB).text
    assert node_line(spaces, 0) is None
    assert "not known: nodes are forbidden" in node_line("nodes are forbidden", 1).text
    assert "how full is not known" in node_line([NodeSpace("a", 1024 * MIB, None)], 1).text


def test_more_pods_than_the_nodes_have_room_for():
    spaces = [NodeSpace("a", 8 * 1024 * MIB, 1024 * MIB), NodeSpace("b", 4 * 1024 * MIB, 3 * 1024 * MIB)]
    found = node_line(spaces, 512 * MIB, 99_997)
    assert found.weight == "warn"
    assert "; 8 of the 99997 new pods fit on the nodes now: the other 99989 (48.8 TiB) wait" in found.text
    assert node_line(spaces, 512 * MIB, 8).weight == "plain"
    found = node_line([NodeSpace("a", 1024 * MIB, None)], 512 * MIB, 3)
    assert "at most 2 of the 3 new pods fit on the nodes even if the nodes were empty" in found.text


def budget(version="policy/v1", allowed=1, **spec):
    return {
        "apiVersion": version, "metadata": {"name": "pdb"}, "spec": spec,
        "status": {"disruptionsAllowed": allowed},
    }  # fmt: skip


POD = {"app": "shop", "tier": "web"}


def test_budgets_bind_evictions_and_not_rollouts():
    covering = budget(minAvailable=2, selector={"matchLabels": {"app": "shop"}})
    other = budget(minAvailable=2, selector={"matchLabels": {"app": "else"}})
    (line,) = budget_lines([covering, other], POD, deletes=False)
    assert "at least 2 available, 1 eviction allowed now" in line.text
    assert "a rollout does not ask it" in line.text
    (line,) = budget_lines([budget(maxUnavailable="10%", allowed=0, selector={})], POD, deletes=True)
    assert line.weight == "warn"
    assert "at most 10% unavailable, 0 evictions" in line.text
    assert "deleting a pod does not ask it either" in line.text


def test_an_empty_selector_means_all_or_nothing_by_version():
    assert not list(budget_lines([budget("policy/v1beta1", maxUnavailable=1)], POD, deletes=False))
    assert list(budget_lines([budget(maxUnavailable=1)], POD, deletes=False))


@pytest.mark.parametrize(
    ("operator", "key", "values", "selected"),
    [
        ("In", "tier", ["web", "api"], True),
        ("In", "nope", ["web"], False),
        ("NotIn", "tier", ["api"], True),
        ("NotIn", "nope", ["api"], True),
        ("Exists", "tier", [], True),
        ("Exists", "nope", [], False),
        ("DoesNotExist", "nope", [], True),
        ("DoesNotExist", "tier", [], False),
    ],
)
def test_selector_expressions(operator, key, values, selected):
    expression = {"key": key, "operator": operator, "values": values}
    assert selector_matches({"matchExpressions": [expression]}, POD) is selected


class Lists:
    """An API server that has these lists, by the end of their path, and no others."""

    def __init__(self, **lists):
        self.lists = lists
        self.asked = []

    async def get(self, path, params=None, *, timeout):
        self.asked.append((path, dict(params or {}), timeout))
        found = self.lists.get(path.rpartition("/")[2])
        if found is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return json.dumps(found).encode()


async def test_what_limits_a_change_is_read_within_bounds():
    server = Lists(resourcequotas={"items": [quota({}, {})]}, poddisruptionbudgets={"items": [budget()]})
    found = await read_namespace_limits(server, ref(), SetMemory)
    assert [len(found.quotas), len(found.budgets), len(found.limit_ranges)] == [1, 1, 0]
    assert all("/namespaces/production/" in path for path, _, _ in server.asked)
    assert all(0 < int(params["limit"]) <= 1000 for _, params, _ in server.asked), "a namespace may be full"
    assert all(timeout <= 30 for _, _, timeout in server.asked), "a plan waits for no slow list"


def scheduled(node, request, phase="Running"):
    resources = {"requests": {"memory": request}}
    return {
        "metadata": {"name": f"{node}-{request}"},
        "spec": {"nodeName": node, "containers": [{"name": "main", "resources": resources}]},
        "status": {"phase": phase},
    }


async def test_room_on_nodes_is_what_their_pods_leave():
    def node(name, **spec):
        return {
            "metadata": {"name": name}, "spec": spec, "status": {"allocatable": {"memory": "1Gi"}},
        }  # fmt: skip

    nodes = {"items": [node("a"), node("b"), node("closed", unschedulable=True)]}
    pods = {"items": [scheduled("a", "256Mi"), scheduled("a", "128Mi"), scheduled("closed", "1Mi")]}
    server = Lists(nodes=nodes, pods=pods)
    found = {one.name: (one.allocatable, one.free) for one in await read_node_space(server)}
    assert found == {"a": (1024 * MIB, 640 * MIB), "b": (1024 * MIB, 1024 * MIB)}
    ((_, params, _),) = [one for one in server.asked if one[0].endswith("/pods")]
    assert 0 < int(params["limit"]) <= 50_000
    assert "status.phase!=Succeeded" in params["fieldSelector"], "what has ended holds nothing"
    more = Lists(nodes=nodes, pods=pods | {"metadata": {"remainingItemCount": 9}})
    assert {one.free for one in await read_node_space(more)} == {None}, "of too many pods it is not known"
