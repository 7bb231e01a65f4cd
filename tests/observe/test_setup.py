"""From the settings to what is observed."""

from dataclasses import replace

import pytest

from config import settings_from
from memtop.kube.api_errors import KubeconfigError
from memtop.observe.engine import Engine
from memtop.observe.view import Scope
from memtop.observe.watchlist import INSECURE_NOTE, LimitThresholds, at_speed, make_watchlist, open_watchlist


def settings(path=None, **sections):
    cluster = {"kubeconfig": str(path)} if path is not None else {}
    return settings_from({**sections, "cluster": cluster | sections.get("cluster", {})})


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}


def test_by_default_all_namespaces_are_observed(kubeconfig, environ):
    found = make_watchlist(settings(kubeconfig()), environ)
    assert found.scope == Scope(())
    assert found.target.namespace == "production"
    assert found.interval == 15.0
    assert found.notes == ()


@pytest.mark.parametrize(
    ("cluster", "scope"),
    [
        ({"namespaces": ("a", "b")}, Scope(("a", "b"))),
        ({"all_namespaces": True}, Scope(())),
        ({"selector": "app=shop"}, Scope((), "app=shop")),
    ],
)
def test_what_is_asked_for_is_observed(kubeconfig, environ, cluster, scope):
    assert make_watchlist(settings(kubeconfig(), cluster=cluster), environ).scope == scope


def test_interval_history_and_thresholds(kubeconfig, environ):
    observe = {"interval": "30s", "history": 6, "warn_ratio": "60%", "critical_ratio": "80%"}
    found = make_watchlist(settings(kubeconfig(), observe=observe), environ)
    assert (found.interval, found.hours) == (30.0, 6.0)
    assert found.thresholds == LimitThresholds(0.6, 0.8)


def test_a_certificate_that_is_not_checked_is_said(kubeconfig, environ):
    path = kubeconfig()
    text = path.read_text().replace("server: http://", "insecure-skip-tls-verify: true\n    server: https://")
    assert text != path.read_text()
    path.write_text(text)
    assert make_watchlist(settings(path), environ).notes == (INSECURE_NOTE,)


def test_without_a_kubeconfig_the_demo_is_offered(environ):
    with pytest.raises(KubeconfigError, match="memtop --demo"):
        make_watchlist(settings(), environ)


def test_a_fast_cluster_is_asked_no_more_often_than_is_sensible(kubeconfig, environ):
    found = make_watchlist(settings(kubeconfig()), environ)
    assert (at_speed(found, 1.0).speed, at_speed(found, 1.0).interval) == (1.0, 15.0)
    assert at_speed(found, 600.0).interval == 300.0


def test_a_cluster_that_is_there_is_observed_as_it_is(kubeconfig, environ):
    mine = settings(kubeconfig())
    with open_watchlist(mine, environ) as found:
        assert found == make_watchlist(mine, environ)


def test_the_demo_lives_as_long_as_it_is_observed(environ):
    demo = {"pods": 30, "speed": 60.0, "seed": 7}
    import threading

    settled = threading.Event()
    frames = []

    def take(frame):
        frames.append(frame)
        if frame.settled:
            settled.set()

    with open_watchlist(
        settings(demo=demo, cluster={"namespaces": ("production",)}), environ, demo=True
    ) as found:
        assert (found.speed, found.interval) == (60.0, 30.0)
        assert found.scope == Scope(("production",))
        assert found.history.folder is None
        engine = Engine(replace(found, history=replace(found.history, prometheus=None)), take, frames.append)
        engine.start()
        assert settled.wait(20), frames[-1]
        engine.stop()
    assert frames[-1].namespaces == ("production",)
