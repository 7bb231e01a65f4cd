"""The store: slots, what a container holds, and what belongs to its past."""

import math

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from memtop.analysis.judgement import Judgements
from memtop.history.past_series import ORIGIN_PROMETHEUS, ContainerName, KernelFigures, PastSeries
from memtop.kube.api_objects import (
    Node,
    ObjectMeta,
    OwnerReference,
    PartialObjectMetadata,
    ResourceRequirements,
)
from memtop.kube.pod_facts import ContainerKind, Workload
from memtop.observe.container_store import INITIAL_SLOTS
from memtop.observe.frame_rows import container_rows
from memtop.observe.slots import swap_room
from memtop.observe.view import RowFilter
from tests.observe.conftest import NOW

MI = 2**20


def owner(kind, name, uid):
    return PartialObjectMetadata(
        ObjectMeta(name="x", uid=uid, owner_references=(OwnerReference(kind, name, "o", controller=True),))
    )


class TestPods:
    def test_a_container_is_there_with_its_facts(self, shelf, world):
        shelf.put(world.pod("web-1", world.container(limit="256Mi", request="128Mi", restarts=3)))
        who = shelf.identity("web-1")
        assert (who.namespace, who.pod, who.container, who.node) == ("shop", "web-1", "app", "node-1")
        assert shelf.column("limit") == 256 * MI
        assert shelf.column("request") == 128 * MI
        assert shelf.column("restarts") == 3

    def test_without_a_limit_it_is_unknown_and_not_zero(self, shelf, world):
        shelf.put(world.pod("web-1", world.container(limit=None)))
        assert np.isnan(shelf.column("limit"))
        assert np.isnan(shelf.column("request"))

    def test_the_pods_name_says_it_all_where_there_is_one_container(self, shelf, world):
        setup = world.container("setup")
        shelf.put(world.pod("one", init=[setup]), world.pod("two", world.container(), world.container("log")))
        assert shelf.identity("one").is_only_container
        assert not shelf.identity("one", "setup").is_only_container
        assert not shelf.identity("two").is_only_container

    def test_kinds(self, shelf, world):
        proxy, setup = world.container("proxy", sidecar=True), world.container("setup")
        shelf.put(world.pod("one", init=[proxy, setup]))
        kinds = [shelf.identity("one", name).kind for name in ("app", "proxy", "setup")]
        assert kinds == [ContainerKind.CONTAINER, ContainerKind.SIDECAR, ContainerKind.INIT]

    def test_a_pod_that_has_done_its_work_has_no_rows(self, shelf, world):
        shelf.put(world.pod("job-1"))
        shelf.put(world.pod("job-1", status={"phase": "Succeeded"}))
        assert shelf.slot("job-1") is None
        assert shelf.store.pods == 0

    def test_a_pod_that_is_gone_frees_its_slots(self, shelf, world):
        shelf.put(world.pod("a"), world.pod("b"))
        freed = shelf.slot("a")
        shelf.store.remove_pod("uid-shop-a")
        shelf.store.remove_pod("uid-shop-a")
        shelf.put(world.pod("c"))
        assert shelf.slot("c") == freed
        assert shelf.slot("a") is None
        assert len(shelf.store.live_slots()) == 2

    def test_a_container_that_leaves_the_pod_leaves_the_store(self, shelf, world):
        shelf.put(world.pod("a", world.container(), world.container("old")))
        shelf.put(world.pod("a", world.container()))
        assert shelf.slot("a", "old") is None

    def test_a_new_container_in_a_slot_knows_nothing_of_the_old_one(self, shelf, world):
        end = world.ended(-60)
        shelf.put(world.pod("a", world.container(restarts=9, last=end, request="1Mi")))
        shelf.metrics(world.sample("a", 0, app="64Mi"))
        slot, generation = shelf.slot("a"), shelf.column("generation", "a")
        shelf.store.remove_pod("uid-shop-a")
        shelf.put(world.pod("b", world.container(limit=None)))
        assert shelf.slot("b") == slot
        assert shelf.column("generation", "b") == generation + 1
        for column in ("working_set", "sampled_at", "limit", "request", "last_end"):
            assert np.isnan(shelf.column(column, "b")), column
        for column in ("restarts", "restarts_hour", "ooms_hour", "failed"):
            assert not shelf.column(column, "b"), column
        assert shelf.series("b") == ([], [])
        assert shelf.store.last_terminations[slot] is None

    def test_there_is_always_more_room(self, shelf, world):
        shelf.put(world.pod("first"))
        shelf.metrics(world.sample("first", 0, app="64Mi"))
        shelf.put(*(world.pod(f"pod-{number}") for number in range(500)))
        assert len(shelf.store.live_slots()) == 501
        assert len({shelf.slot(f"pod-{number}") for number in range(500)}) == 500
        assert shelf.series("first") == ([0], [64])

    def test_room_that_nobody_uses_is_small(self, shelf, world):
        for number in range(1500):
            shelf.put(world.pod(f"pod-{number}"))
            assert len(shelf.store.identities) <= INITIAL_SLOTS + 1.5 * (number + 1)

    def test_room_is_made_once_for_pods_that_are_to_come(self, shelf, world):
        shelf.put(*(world.pod(f"pod-{number}", world.container(), world.container("b")) for number in (1, 2)))
        shelf.store.reserve(100)
        room = len(shelf.store.identities)
        assert 200 <= room < 250
        shelf.put(
            *(world.pod(f"p-{number}", world.container(), world.container("b")) for number in range(98))
        )
        assert len(shelf.store.live_slots()) == 200
        assert len(shelf.store.identities) == room == len(shelf.store.columns.limit)

    def test_a_list_replaces_what_was_known_of_its_namespace_alone(self, shelf, world):
        shelf.put(world.pod("a"), world.pod("b"), world.pod("a", namespace="other"))
        shelf.store.keep_only({"uid-shop-b"}, "shop")
        assert shelf.slot("a") is None
        assert shelf.slot("b") is not None
        assert shelf.slot("a", namespace="other") is not None
        shelf.store.keep_only({"uid-shop-b"}, None)
        assert shelf.slot("a", namespace="other") is None

    def test_a_pod_of_the_same_name_may_come_before_the_old_one_has_gone(self, shelf, world):
        shelf.put(world.pod("db-0", uid="old"))
        shelf.put(world.pod("db-0", uid="new"))
        shelf.store.remove_pod("old")
        shelf.metrics(world.sample("db-0", 0, app="64Mi"))
        assert shelf.column("working_set", "db-0") == 64 * MI

    def test_being_scheduled_is_noticed(self, shelf, world):
        shelf.put(world.pod("a", node=""))
        version = shelf.store.version
        shelf.put(world.pod("a", node="node-7"))
        assert shelf.identity("a").node == "node-7"
        assert shelf.store.version > version

    def test_a_label_that_changes_is_filtered_by_at_once(self, shelf, world):
        shelf.put(world.pod("a", labels={"tier": "front"}))
        version = shelf.store.version
        shelf.put(world.pod("a", labels={"tier": "back"}))
        assert RowFilter("tier=back").matches(shelf.identity("a"))
        assert not RowFilter("tier=front").matches(shelf.identity("a"))
        assert shelf.store.version > version

    def test_a_change_of_status_is_no_change_of_identity(self, shelf, world):
        shelf.put(world.pod("a"))
        version, who = shelf.store.version, shelf.identity("a")
        shelf.put(world.pod("a", world.container(restarts=1, last=world.ended(-5))))
        assert shelf.store.version == version
        assert shelf.identity("a") is who

    def test_replicas_share_their_labels(self, shelf, world):
        for name in ("a", "b"):
            shelf.put(world.pod(name, labels={"app": "web", "tier": "front"}))
        assert shelf.identity("a").labels is shelf.identity("b").labels

    def test_namespaces_in_use(self, shelf, world):
        shelf.put(world.pod("a"), world.pod("b", namespace="other"))
        shelf.store.remove_pod("uid-shop-a")
        assert shelf.store.live_namespaces() == ["other"]

    def test_escape_sequences_in_names_and_labels_do_not_get_through(self, shelf, world):
        shelf.put(world.pod("a\x1b[31m", world.container("app\x07"), labels={"k\x1b[0m": "v\u202e"}))
        who = shelf.identity("a")
        assert (who.pod, who.container, who.labels) == ("a", "app", {"k": "v"})
        shelf.metrics(world.sample("a\x1b[31m", 0, **{"app\x07": "1Mi"}))
        assert shelf.column("working_set", "a") == MI


class TestOwners:
    def test_an_owner_learned_later_names_the_pods_already_there(self, shelf, world):
        shelf.put(world.pod("web-1", owner=("ReplicaSet", "web-abc")))
        assert shelf.identity().workload == Workload("ReplicaSet", "web-abc")
        shelf.store.learn_owners([owner("Deployment", "web", "uid-web-abc")])
        assert shelf.identity().workload == Workload("Deployment", "web")

    def test_short_lived_workloads_do_not_add_up_for_ever(self, shelf, world):
        shelf.put(world.pod("stays", owner=("StatefulSet", "stays")))
        for number in range(3000):
            shelf.put(world.pod(f"job-{number}", owner=("Job", f"job-{number}")))
            shelf.store.remove_pod(f"uid-shop-job-{number}")
        assert len(shelf.store.workloads) < 1500
        number = shelf.column("workload", "stays")
        assert shelf.store.workloads[number] == ("shop", Workload("StatefulSet", "stays"))


class TestNodes:
    @staticmethod
    def node(name, pressure):
        conditions = [{"type": "MemoryPressure", "status": pressure}, {"type": "Ready", "status": "True"}]
        return msgspec.convert({"metadata": {"name": name}, "status": {"conditions": conditions}}, Node)

    def test_memory_pressure_comes_and_goes(self, shelf):
        store = shelf.store
        store.put_nodes([self.node("a", "True"), self.node("b", "False")])
        assert store.pressured_nodes == {"a"}
        store.put_node(self.node("b", "True"))
        store.put_node(self.node("a", "False"))
        assert store.pressured_nodes == {"b"}
        store.put_node(self.node("b", "True"), gone=True)
        assert store.pressured_nodes == set()

    def test_a_recorded_node(self, shelf, recording):
        nodes = msgspec.json.decode(recording("nodes.json"), type=dict[str, msgspec.Raw])["items"]
        shelf.store.put_nodes(msgspec.json.decode(nodes, type=list[Node]))
        assert shelf.store.pressured_nodes == set()


class TestMetrics:
    def test_samples_are_taken_in_with_their_own_times(self, shelf, world):
        shelf.put(world.pod("web-1"))
        tick = shelf.metrics(world.sample("web-1", -7, app="65536Ki"), at=0)
        assert shelf.column("working_set") == 64 * MI
        assert shelf.column("sampled_at") == world.NOW - 7
        assert shelf.series() == ([-7], [64])
        assert tick.newest == world.NOW - 7
        assert tick.slots.tolist() == [shelf.slot()]

    def test_a_sample_seen_before_is_no_news(self, shelf, world):
        shelf.put(world.pod("web-1"))
        shelf.metrics(world.sample("web-1", 0, app="64Mi"), at=0)
        tick = shelf.metrics(world.sample("web-1", 0, app="64Mi"), at=15)
        assert len(tick.slots) == 0
        assert tick.newest == world.NOW
        assert shelf.series() == ([0], [64])

    def test_an_answer_without_samples_is_a_tick_without_news(self, shelf, world):
        shelf.put(world.pod("web-1"))
        assert shelf.metrics().newest is None
        assert np.isnan(shelf.column("working_set"))

    def test_no_sample_is_unknown_and_a_sample_of_zero_is_zero(self, shelf, world):
        shelf.put(world.pod("a"), world.pod("b"))
        shelf.metrics(world.sample("a", 0, app="0"))
        assert shelf.column("working_set", "a") == 0
        assert np.isnan(shelf.column("working_set", "b"))

    def test_a_sample_from_before_the_present_life_is_only_past(self, shelf, world):
        shelf.put(world.pod("web-1", world.container(state=world.running(-5), restarts=1)))
        shelf.metrics(world.sample("web-1", -20, app="250Mi"))
        assert np.isnan(shelf.column("working_set"))
        assert shelf.series() == ([-20], [250])
        shelf.metrics(world.sample("web-1", 10, app="8Mi"), at=15)
        assert shelf.column("working_set") == 8 * MI

    def test_what_does_not_run_holds_nothing_but_keeps_its_past(self, shelf, world):
        shelf.put(world.pod("web-1"))
        shelf.metrics(world.sample("web-1", 0, app="250Mi"))
        shelf.put(world.pod("web-1", world.container(state=world.ended(5))), at=6)
        assert np.isnan(shelf.column("working_set"))
        shelf.metrics(world.sample("web-1", 4, app="256Mi"), at=15)
        assert np.isnan(shelf.column("working_set"))
        assert shelf.series() == ([0, 4], [250, 256])

    def test_running_again_is_unknown_until_there_is_a_new_sample(self, shelf, world):
        shelf.put(world.pod("web-1"))
        shelf.metrics(world.sample("web-1", 0, app="250Mi"))
        shelf.put(world.pod("web-1", world.container(state=world.running(9), restarts=1)), at=10)
        assert np.isnan(shelf.column("working_set"))

    def test_what_cannot_be_read_or_is_not_known_is_left_out(self, shelf, world):
        shelf.put(world.pod("web-1", world.container(), world.container("log")))
        tick = shelf.metrics(
            world.sample("web-1", 0, app="lots", log="1Mi", ghost="1Mi"),
            world.sample("nobody", 0, app="1Mi"),
        )
        assert tick.slots.tolist() == [shelf.slot("web-1", "log")]

    def test_recorded_metrics_fit_recorded_pods(self, shelf, recording):
        from memtop.kube.api_objects import Pod, PodMetricsList

        items = msgspec.json.decode(recording("pods-all.json"), type=dict[str, msgspec.Raw])["items"]
        shelf.put(*msgspec.json.decode(items, type=list[Pod]))
        metrics = msgspec.json.decode(recording("podmetrics-all.json"), type=PodMetricsList).items
        tick = shelf.metrics(*metrics)
        assert len(tick.slots) == sum(len(pod.containers) for pod in metrics)


class TestLastHour:
    def test_kills_of_child_processes_are_a_kind_of_their_own(self, shelf, world):
        died = world.container(last=world.ended(-60), state=world.running(-50), restarts=1)
        shelf.put(world.pod("a"), world.pod("b"), world.pod("c", died))
        assert np.isnan(shelf.column("child_ooms_hour", "a"))
        kills = {ContainerName("shop", "a", "app"): 2, ContainerName("shop", "c", "app"): 1}
        shelf.store.note_child_kills(kills, world.NOW)
        # What was counted in a cgroup that is gone was the end of the container itself.
        assert [shelf.column("child_ooms_hour", name) for name in "abc"] == [2, 0, 0]
        assert [shelf.column("ooms_hour", name) for name in "abc"] == [0, 0, 1]
        shelf.store.note_child_kills(None, world.NOW)
        assert np.isnan(shelf.column("child_ooms_hour", "a"))

    def test_stalls_and_swap_are_known_only_where_somebody_exports_them(self, shelf, world):
        shelf.put(world.pod("a"), world.pod("b"))
        a = ContainerName("shop", "a", "app")
        limits = {a: 100 * 2**20}
        shelf.store.note_kernel_figures(KernelFigures(None, {a: 0.08}, {a: 30 * 2**20}, limits), world.NOW)
        assert shelf.column("pressure", "a") == 0.08
        assert np.isnan(shelf.column("pressure", "b"))
        assert [shelf.column("swap", name) for name in "ab"] == [30 * 2**20, 0]
        assert [shelf.column("swap_room", name) for name in "ab"] == [70 * 2**20, 0]
        shelf.store.note_kernel_figures(KernelFigures(), world.NOW)
        assert np.isnan([shelf.column("pressure", "a"), shelf.column("swap", "a")]).all()
        assert shelf.column("swap_room", "a") == 0

    @pytest.mark.parametrize(
        ("swap_limit", "limit", "swapped", "room"),
        [
            (50.0, 256.0, 10.0, 40.0),  # cgroup v2: of swap alone
            (256.0, 256.0, 0.0, 0.0),  # cgroup v1: memory and swap together, so none
            (300.0, 256.0, 4.0, 40.0),
            (50.0, math.nan, 0.0, 0.0),  # without a limit there is nothing to be moved
            (50.0, 256.0, 80.0, 0.0),
        ],
    )
    def test_what_may_be_swapped_out_yet(self, swap_limit, limit, swapped, room):
        assert swap_room(swap_limit, limit, swapped) == room

    def test_restarts_and_oom_kills_pass_out_of_the_hour(self, shelf, world):
        shelf.put(world.pod("a", world.container(restarts=1, last=world.ended(-10)), created=-600), at=0)
        assert (shelf.column("restarts_hour", "a"), shelf.column("ooms_hour", "a")) == (1, 1)
        assert shelf.column("restarts_exact", "a")
        shelf.store.advance_clock(world.NOW + 3580)
        assert shelf.column("ooms_hour", "a") == 1
        shelf.store.advance_clock(world.NOW + 3600)
        assert shelf.column("ooms_hour", "a") == 0
        assert shelf.column("restarts_hour", "a") == 0
        assert shelf.column("restarts", "a") == 1

    def test_what_others_have_counted_before_makes_the_hour_exact(self, shelf, world):
        shelf.put(world.pod("a", world.container(restarts=7, last=world.ended(-60))))
        slot = shelf.slot("a")
        assert not shelf.column("restarts_exact", "a")
        counted = np.array([NOW - 7200, NOW - 3500, NOW - 600]), np.array([4, 5, 6])
        kills = np.array([NOW - 3500])
        past = PastSeries(
            "working_set", ORIGIN_PROMETHEUS, *np.zeros((2, 0)), oom_kills=kills, counted=counted
        )
        shelf.store.take_past_ends(slot, past, NOW)
        assert shelf.column("restarts_hour", "a") == 3
        assert shelf.column("ooms_hour", "a") == 2
        shelf.store.advance_clock(NOW + 200)
        assert shelf.column("ooms_hour", "a") == 1

    @pytest.mark.parametrize(("code", "failed"), [(0, False), (1, True), (137, True)])
    def test_the_last_end_is_remembered_while_it_runs_again(self, shelf, world, code, failed):
        last = world.ended(-30, "Error" if code else "Completed", code)
        shelf.put(world.pod("a", world.container(restarts=1, last=last)))
        assert shelf.column("last_end", "a") == world.NOW - 30
        assert shelf.column("failed", "a") == failed


class TestSamplesThatMakeNoSense:
    @pytest.mark.parametrize("memory", ["-5Mi", "lots", "9e999", ""])
    def test_a_size_that_no_memory_has_is_unknown_and_costs_no_other_its_sample(self, shelf, world, memory):
        shelf.put(world.pod("a"), world.pod("b"))
        shelf.metrics(world.sample("a", 0, app=memory), world.sample("b", 0, app="30Mi"))
        assert np.isnan(shelf.column("working_set", "a"))
        assert shelf.column("working_set", "b") == 30 * MI

    def test_a_time_far_in_the_future_is_left_out_and_said(self, shelf, world):
        shelf.put(world.pod("a"))
        tick = shelf.store.put_metrics([world.sample("a", 10**9, app="30Mi")], NOW)
        assert (tick.newest, tick.unread) == (None, ("that of shop/a has a time in the future",))

    def test_a_sample_without_a_time_is_left_out_and_said(self, shelf, world):
        shelf.put(world.pod("a"))
        timeless = replace(world.sample("a", 0, app="30Mi"), timestamp=None)
        tick = shelf.store.put_metrics([timeless], NOW)
        assert (tick.newest, tick.unread) == (None, ("that of shop/a has no time",))


def test_what_of_a_pod_made_no_sense_is_told_in_its_state(shelf, world):
    shelf.put(world.pod("a", world.container(limit="lots")), world.pod("b"))
    words = shelf.store.states.words
    assert words[shelf.column("state", "a")] == "Running, unread: limits.memory lots"
    assert words[shelf.column("state", "b")] == "Running"


class Nothing:
    """Judges nobody."""

    def __init__(self, slots):
        self._slots = slots

    def judgements(self):
        return Judgements.unjudged(self._slots)


class TestLimitOfThePod:
    """160 MiB for two containers that have none of their own."""

    @pytest.fixture(autouse=True)
    def pod(self, shelf, world):
        made = world.pod("a", world.container("leaky", limit=None), world.container("calm", limit=None))
        resources = ResourceRequirements(limits={"memory": "160Mi"})
        shelf.put(replace(made, spec=replace(made.spec, resources=resources)))
        shelf.metrics(world.sample("a", 0, leaky="100Mi", calm="20Mi"))

    def test_what_the_others_hold_counts(self, shelf):
        rows = container_rows(
            shelf.store, Nothing(len(shelf.store.identities)), np.zeros((256, 24), np.float32), 0.0
        )
        slots = [shelf.slot("a", "leaky"), shelf.slot("a", "calm")]
        assert rows.limit[slots].tolist() == [160 * MI] * 2
        assert rows.pod_limit[slots].all()
        assert rows.share[slots].tolist() == [0.75, 0.75]
        assert shelf.store.columns.usable_limit(np.array(slots)).tolist() == [140 * MI, 60 * MI]

    def test_it_is_added_up_once(self, shelf):
        counts = shelf.store.columns.limit_counts
        assert [bool(counts[shelf.slot("a", name)]) for name in ("leaky", "calm")] == [True, False]

    def test_it_follows_the_next_sample(self, shelf, world):
        shelf.metrics(world.sample("a", 15, leaky="120Mi", calm="30Mi"))
        assert shelf.column("held_by_others", "a", "leaky") == 30 * MI
