"""What goes wrong with an API server, and what a screen is told of it; recovery needs no restart."""

import contextlib
import queue
import time

import pytest

from memtop import retry
from memtop.demo.faults import Fault, Harm
from memtop.demo.thread import DemoThread
from memtop.kube.kubeconfig import load_target
from memtop.observe import observer, source
from memtop.observe.engine import Engine
from memtop.observe.snapshot import FrameBuilder
from memtop.observe.view import OverviewPane, RowFilter, Scope, SourceCondition, View
from memtop.observe.watchlist import Watchlist
from tests.api import Api

PATIENCE = 60.0
PODS, METRICS = r"/api/v1/pods", r"/apis/metrics\.k8s\.io/"
LIST, WATCH = PODS + r"(?!.*watch=true)", PODS + r".*watch=true"


class Watcher:
    """An engine and the frames it hands out."""

    def __init__(self, plan):
        self.frames = queue.SimpleQueue()
        self.engine = Engine(plan, self.frames.put, self.frames.put)
        self.frame = None

    def until(self, holds, what=""):
        """The first frame for which it holds."""
        deadline = time.monotonic() + PATIENCE
        while True:
            if self.frame is not None and holds(self.frame):
                return self.frame
            try:
                news = self.frames.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                sources = self.frame and self.frame.sources
                raise AssertionError(f"{what or 'it'} did not come about; sources: {sources}") from None
            if isinstance(news, BaseException):
                raise news
            self.frame = news

    def settled(self):
        return self.until(lambda frame: frame.settled, "settling")

    def state(self, name, *states):
        """The status of a source once it is in one of the states."""
        frame = self.until(lambda frame: status(frame, name).state in states, f"{name} {states}")
        return status(frame, name)

    def newer(self):
        """A frame built after now."""
        number = self.frame.number
        self.engine.retry()
        return self.until(lambda frame: frame.number > number)


def status(frame, name):
    return next(one for one in frame.sources if one.name == name)


def memory(frame):
    """Working sets by pod, where known."""
    return {
        who.pod: float(size)
        for who, size in zip(frame.rows.identities, frame.rows.working_set, strict=True)
        if who is not None and size >= 0
    }


def pods(frame):
    """The names of the pods."""
    return {who.pod for who in frame.rows.identities if who is not None}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Rests between attempts are short here; what they are otherwise is tested with a scripted clock."""
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(retry, "MAX_DELAY", 0.2)
    monkeypatch.setattr(source, "MAX_DELAY", 0.2)
    monkeypatch.setattr(source, "FORBIDDEN_DELAY", 0.2)
    monkeypatch.setattr(observer, "MIN_POLL_SECONDS", 0.1)
    monkeypatch.setattr("memtop.observe.engine.FRAME_SECONDS", 0.1)


@pytest.fixture
def watch(kubeconfig):
    """``watch(scope, user="admin")``: an engine on the embedded cluster, stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(scope=None, *, user="admin", path=None, **plan):
            plan.setdefault("interval", 0.1)
            target = load_target(kubeconfig=str(path or kubeconfig(user)))
            watcher = Watcher(Watchlist(target, scope or Scope(), **plan))
            watcher.engine.start()
            stack.callback(watcher.engine.stop)
            return watcher

        yield start


@pytest.fixture
def own_demo(tmp_path):
    """An embedded cluster of one's own, to be stopped, moved in time and changed, and its kubeconfig."""
    with DemoThread(pods=40) as demo:
        path = tmp_path / "own"
        path.write_text(demo.kubeconfig())
        yield demo, path


class TestServer:
    def test_it_is_down_at_the_start_and_comes_up(self, watch, own_demo):
        demo, path = own_demo
        demo.run(demo.server.stop())
        watcher = watch(path=path)
        down = watcher.state("pods", SourceCondition.FAILING)
        assert "127.0.0.1" in down.words
        demo.run(demo.server.start())
        watcher.state("pods", SourceCondition.LIVE)
        watcher.state("metrics", SourceCondition.LIVE)
        assert watcher.settled().counts.pods > 10

    def test_it_dies_and_comes_back(self, watch, own_demo):
        demo, path = own_demo
        watcher = watch(path=path)
        before = watcher.settled()
        demo.run(demo.server.stop())
        stale = watcher.state("pods", SourceCondition.STALE)
        watcher.state("metrics", SourceCondition.STALE)
        assert stale.data_at is not None
        assert stale.words
        assert memory(watcher.frame) == memory(before)
        demo.run(demo.server.start())
        watcher.state("pods", SourceCondition.LIVE)
        assert watcher.state("metrics", SourceCondition.LIVE).words == ""

    def test_it_answers_slowly(self, watch, demo):
        demo.server.faults.add(Fault(Harm.DELAY, path=LIST, seconds=0.6))
        watcher = watch()
        assert not watcher.until(lambda frame: True).settled
        assert status(watcher.frame, "pods").state is SourceCondition.CONNECTING
        assert watcher.settled().counts.pods > 10

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            (Fault(Harm.ANSWER, path=PODS, status=500), "made to fail"),
            (
                Fault(Harm.ANSWER, path=PODS, status=503, body=b"upstream connect error"),
                "upstream connect error",
            ),
            (Fault(Harm.ANSWER, path=PODS, status=401), "not logged in: "),
            (Fault(Harm.CUT, path=LIST), ""),
            (Fault(Harm.DROP, path=PODS), ""),
            (
                Fault(Harm.ANSWER, path=PODS, status=200, body=b'{"kind":"PodList","metadata":'),
                "cannot be read",
            ),
            (Fault(Harm.ANSWER, path=PODS, status=200, body=b"<html>hello</html>"), "cannot be read"),
            (
                Fault(
                    Harm.ANSWER,
                    path=PODS,
                    status=302,
                    body=b"",
                    headers={"Location": "http://127.0.0.1/login"},
                ),
                "redirected",
            ),
        ],
        ids=lambda value: "" if isinstance(value, str) else f"{value.harm.value} {value.status}",
    )
    def test_what_is_wrong_is_said_and_passes(self, watch, demo, fault, words):
        demo.server.faults.add(fault)
        watcher = watch()
        failing = watcher.state("pods", SourceCondition.FAILING)
        assert words in failing.words
        assert failing.words
        demo.server.faults.clear()
        watcher.state("pods", SourceCondition.LIVE)
        assert watcher.settled().counts.pods > 10

    def test_it_asks_for_patience(self, watch, demo):
        fault = Fault(Harm.ANSWER, path=LIST, status=429, headers={"Retry-After": "1"}, times=1)
        demo.server.faults.add(fault)
        watcher = watch()
        watcher.state("pods", SourceCondition.FAILING)
        watcher.state("pods", SourceCondition.LIVE)
        assert fault.hits == 1

    def test_an_endless_line_in_a_watch_ends_the_watch_and_not_the_program(self, watch, demo, monkeypatch):
        watcher = watch()
        watcher.settled()
        monkeypatch.setattr(retry, "FIRST_DELAY", 600.0)
        monkeypatch.setattr(retry, "MAX_DELAY", 600.0)  # what went wrong is there until it is asked for
        demo.server.faults.add(Fault(Harm.ENDLESS_LINE, path=WATCH, times=1))
        demo.call(demo.server.close_watches)
        stale = watcher.state("pods", SourceCondition.STALE)
        assert "line" in stale.words
        watcher.engine.retry()
        watcher.state("pods", SourceCondition.LIVE)


class TestWatches:
    def test_after_410_there_is_a_new_list_and_nothing_is_lost(self, watch, own_demo):
        demo, path = own_demo
        watcher = watch(path=path)
        before = watcher.settled().counts.pods
        listed = demo.server.faults.add(Fault(Harm.DELAY, path=LIST))
        demo.call(demo.server.expire_watches)
        watcher.until(lambda _: listed.hits > 0, "a new list")
        watcher.state("pods", SourceCondition.LIVE)
        assert watcher.newer().counts.pods == before

    def test_after_a_break_there_is_a_new_watch_and_no_new_list(self, watch, demo):
        watcher = watch()
        watcher.settled()
        listed = demo.server.faults.add(Fault(Harm.DELAY, path=LIST))
        broken = demo.server.faults.add(Fault(Harm.DROP, path=WATCH, times=2))
        demo.call(demo.server.close_watches)
        watcher.until(lambda _: broken.hits == 2, "two breaks")
        watcher.state("pods", SourceCondition.LIVE)
        assert listed.hits == 0

    def test_changes_arrive(self, watch, own_demo):
        demo, path = own_demo
        watcher = watch(path=path)
        frame = watcher.settled()
        who = next(who for who in frame.rows.identities if who is not None and "user-service" in who.pod)
        pod = f"/api/v1/namespaces/{who.namespace}/pods/{who.pod}"
        assert Api(demo).request("DELETE", pod, gracePeriodSeconds=0).status == 200
        demo.advance(120)
        watcher.until(lambda frame: who.pod not in pods(frame), "its end")


class TestMetrics:
    @pytest.mark.parametrize(
        ("fault", "state", "words"),
        [
            (
                Fault(Harm.ANSWER, path=METRICS, status=404),
                SourceCondition.ABSENT,
                "metrics-server provides it",
            ),
            (
                Fault(Harm.ANSWER, path=METRICS, status=503, body=b"service unavailable\n"),
                SourceCondition.FAILING,
                "service unavailable",
            ),
            (Fault(Harm.ANSWER, path=METRICS, status=403), SourceCondition.FORBIDDEN, "made to fail"),
            (Fault(Harm.CUT, path=METRICS), SourceCondition.FAILING, ""),
        ],
        ids=["absent", "plain 503", "forbidden", "cut"],
    )
    def test_without_them_the_rest_works_and_they_may_come_later(self, watch, demo, fault, state, words):
        demo.server.faults.add(fault)
        watcher = watch()
        found = watcher.state("metrics", state)
        assert words in found.words
        frame = watcher.settled()
        assert len(frame.pane_rows[OverviewPane.RESTARTS])
        assert (frame.counts.near_limit, frame.counts.growing) == (None, None)
        demo.server.faults.clear()
        watcher.state("metrics", SourceCondition.LIVE)
        assert watcher.until(lambda frame: frame.counts.near_limit is not None)

    def test_a_sample_that_makes_no_sense_is_said_and_harms_nothing_else(self, watch, demo):
        body = b'{"items": [{"metadata": {"name": "a"}, "timestamp": "soon"}, 7]}'
        demo.server.faults.add(Fault(Harm.ANSWER, path=METRICS, status=200, body=body))
        watcher = watch()
        found = watcher.state("metrics", SourceCondition.LIVE)
        assert found.words == "2 samples left out: a sample cannot be read: it is int, not an object"
        demo.server.faults.clear()
        body = b'{"items": [7]}'
        demo.server.faults.add(Fault(Harm.ANSWER, path=METRICS, status=200, body=body))
        assert watcher.until(
            lambda frame: (
                status(frame, "metrics").words
                == "1 sample left out: a sample cannot be read: it is int, not an object"
            )
        )
        assert status(watcher.frame, "pods").state is SourceCondition.LIVE
        demo.server.faults.clear()
        watcher.state("metrics", SourceCondition.LIVE)
        assert watcher.until(lambda frame: frame.counts.near_limit is not None)

    def test_they_go_away_and_the_last_samples_stay(self, watch, demo):
        watcher = watch()
        before = watcher.settled()
        demo.server.faults.add(Fault(Harm.ANSWER, path=METRICS, status=503, body=b"service unavailable\n"))
        stale = watcher.state("metrics", SourceCondition.STALE)
        assert stale.data_at is not None
        assert memory(watcher.frame).keys() == memory(before).keys()
        assert status(watcher.frame, "pods").state is SourceCondition.LIVE

    def test_an_empty_list_just_after_its_start_is_said(self, watch, demo, recording):
        body = recording("podmetrics-just-started.json")
        demo.server.faults.add(Fault(Harm.ANSWER, path=METRICS, status=200, body=body))
        found = watch().state("metrics", SourceCondition.LIVE)
        assert found.words == "metrics-server has no samples yet"


class TestRights:
    def test_where_all_namespaces_are_forbidden_the_contexts_own_is_shown(self, watch):
        watcher = watch(user="one-namespace")
        frame = watcher.until(lambda frame: frame.settled and frame.counts.pods, "pods")
        assert frame.scope == "production"
        assert frame.namespaces == ("production",)
        assert frame.notes == ("listing all namespaces is forbidden: only production is shown",)
        assert frame.counts.nodes_under_pressure is None
        watcher.state("nodes", SourceCondition.FORBIDDEN)

    def test_nothing_at_all(self, watch):
        watcher = watch(user="nobody")
        forbidden = watcher.state("pods", SourceCondition.FORBIDDEN)
        assert "pods is forbidden" in forbidden.words
        assert watcher.settled().counts.pods == 0

    def test_one_of_two_namespaces(self, watch):
        watcher = watch(Scope(("production", "staging")), user="one-namespace")
        frame = watcher.until(lambda frame: frame.settled and frame.counts.near_limit is not None)
        assert frame.namespaces == ("production",)
        assert status(frame, "pods").state is SourceCondition.FORBIDDEN
        metrics = status(frame, "metrics")
        assert metrics.state is SourceCondition.LIVE
        assert "forbidden" in metrics.words

    def test_without_owners_workloads_follow_from_names(self, watch, demo):
        demo.server.faults.add(Fault(Harm.ANSWER, path="replicasets", status=403))
        watcher = watch(Scope(("production",)))
        frame = watcher.settled()
        assert status(frame, "owners").state is SourceCondition.FORBIDDEN
        workloads = {str(who.workload) for who in frame.rows.identities if who is not None}
        assert "deployment/user-service" in workloads


class TestScope:
    def test_a_namespace_that_does_not_exist_is_told_from_an_empty_one(self, watch):
        absent = watch(Scope(("produktion",))).state("pods", SourceCondition.ABSENT)
        assert absent.words == "there is no namespace 'produktion'"
        assert absent.code == 404

    def test_an_empty_namespace_is_live(self, watch):
        assert watch(Scope(("default",))).state("pods", SourceCondition.LIVE).words == ""

    def test_another_scope_starts_afresh(self, watch):
        watcher = watch(Scope(("production",)))
        assert watcher.settled().namespaces == ("production",)
        watcher.engine.observe(Scope(("staging",)))
        frame = watcher.until(lambda frame: frame.settled and frame.scope == "staging")
        assert frame.namespaces == ("staging",)
        watcher.engine.observe(Scope(("staging",)))
        watcher.engine.observe(Scope())
        frame = watcher.until(lambda frame: frame.settled and frame.scope == "all namespaces")
        assert len(frame.namespaces) > 2

    def test_the_same_scope_again_does_no_harm(self, watch):
        scope = Scope(("production",))
        watcher = watch(scope)
        watcher.settled()
        watcher.engine.observe(scope)
        watcher.until(lambda frame: not frame.settled, "a new start")
        assert watcher.settled().scope == "production"

    def test_stopping_just_after_asking_for_another_scope_stops(self, watch):
        watcher = watch()
        watcher.settled()
        watcher.engine.observe(Scope(("staging",)))
        watcher.engine.stop()
        assert not watcher.engine._thread.is_alive()


class TestClock:
    @pytest.mark.parametrize("seconds", [7200.0, 600.0])
    def test_a_cluster_ahead_of_this_machine_is_believed_and_said(self, watch, own_demo, seconds):
        demo, path = own_demo
        demo.advance(seconds)
        frame = watch(path=path).settled()
        assert abs(frame.time - time.time() - seconds) < 30
        assert "ahead of this machine's" in frame.notes[0]

    def test_without_metrics_the_lists_tell_the_time(self, watch, own_demo):
        demo, path = own_demo
        demo.advance(7200)
        demo.server.faults.add(Fault(Harm.ANSWER, path=METRICS, status=404))
        frame = watch(path=path).settled()
        assert abs(frame.time - time.time() - 7200) < 30

    def test_a_simulated_clock_is_no_skew(self, watch, own_demo):
        demo, path = own_demo
        demo.advance(7200)
        assert watch(path=path, speed=60.0).settled().notes == ()


class TestEngine:
    def test_another_view_is_shown_at_once(self, watch, monkeypatch):
        monkeypatch.setattr("memtop.observe.engine.FRAME_SECONDS", 60.0)
        watcher = watch(interval=60.0)
        watcher.settled()
        watcher.engine.show(View(workloads=True))
        frame = watcher.until(lambda frame: frame.view.workloads)
        assert len(frame.pane_rows[OverviewPane.TOP])
        watcher.engine.show(View(filter=RowFilter("user-service")))
        frame = watcher.until(lambda frame: bool(frame.view.filter))
        assert 0 < len(frame.pane_rows[OverviewPane.TOP]) < frame.counts.containers

    def test_workloads_looked_at_are_pooled(self, watch, monkeypatch):
        monkeypatch.setattr(observer, "POOL_PAUSE", 0.05)
        watcher = watch()
        watcher.settled()
        watcher.engine.show(View(workloads=True))
        watcher.until(lambda frame: frame.view.workloads)
        watcher.until(lambda _: watcher.engine._observer.workload_verdicts._judged, "pooling")

    def test_another_interval_counts_at_once(self, watch, demo):
        watcher = watch(interval=3600.0)
        watcher.settled()
        asked = demo.server.faults.add(Fault(Harm.DELAY, path=METRICS))
        watcher.engine.set_interval(0.1)
        watcher.until(lambda _: asked.hits > 2, "more metrics")

    def test_it_stops_and_leaves_nothing_running(self, watch):
        watcher = watch()
        watcher.settled()
        watcher.engine.stop()
        assert not watcher.engine._thread.is_alive()
        watcher.engine.show(View())
        watcher.engine.retry()
        watcher.engine.stop()

    def test_it_stops_while_nobody_answers(self, watch, demo):
        demo.server.faults.add(Fault(Harm.HANG))
        watcher = watch()
        watcher.until(lambda frame: True)
        watcher.engine.stop()
        assert not watcher.engine._thread.is_alive()

    def test_a_mistake_of_its_own_is_told_and_not_swallowed(self, watch, monkeypatch):
        build, mistakes = FrameBuilder.build, [ZeroDivisionError("a mistake")]

        def broken(*arguments):
            if mistakes:
                raise mistakes.pop()
            return build(*arguments)

        watcher = watch()
        watcher.settled()
        monkeypatch.setattr("memtop.observe.snapshot.FrameBuilder.build", broken)
        watcher.engine.show(View(workloads=True))
        told = watcher.until(lambda frame: any("observed afresh" in note for note in frame.notes))
        assert any("a mistake in memtop: ZeroDivisionError" in note for note in told.notes)
        assert watcher.until(lambda frame: frame.settled).view.workloads
