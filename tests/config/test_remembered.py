"""Values that were found right before are not checked again; everything else is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.invocation import Invocation, parse

Run = Callable[..., Invocation]
_START = """
import os, sys
from config import parse
settings = parse({argv!r}, os.environ).settings
print(settings.observe.interval, "pydantic" in sys.modules)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def run(cache: Path) -> Run:
    def parsed(*argv: str, **environ: str) -> Invocation:
        return parse(argv, {"XDG_CONFIG_HOME": "/nonexistent", "XDG_CACHE_HOME": str(cache), **environ})

    return parsed


def start(cache: Path, *argv: str) -> str:
    """What a process of its own finds, and whether it needed pydantic for it."""
    return subprocess.run(
        [sys.executable, "-c", _START.format(argv=list(argv))],
        env={"XDG_CONFIG_HOME": "/nonexistent", "XDG_CACHE_HOME": str(cache), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_defaults_need_no_check(cache: Path) -> None:
    assert start(cache) == "15.0 False"


def test_the_same_values_are_checked_once(cache: Path) -> None:
    assert start(cache, "--interval", "30s") == "30.0 True"
    assert start(cache, "--interval", "30s") == "30.0 False"
    assert start(cache, "--interval", "40s") == "40.0 True"


def test_a_path_that_no_text_can_hold_is_checked_each_time(run: Run) -> None:
    words = ("--kubeconfig", "/home/ren\udce9/config")
    assert run(*words) == run(*words)


def test_what_is_remembered_is_the_same(run: Run) -> None:
    words = ("-n", "shop,billing", "--log-preset", "leak=leaked .*", "--warn-ratio", "50%", "--read-only")
    first, second = run(*words), run(*words)
    assert second == first
    assert second.settings.logs.presets["leak"] == "leaked .*"
    assert second.provenance["safety.read_only"] == "flag --read-only"


def test_a_mistake_is_found_each_time(run: Run) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match="flag --interval: '2h' is not between 1s and 1h"):
            run("--interval", "2h")


def test_values_that_are_wrong_only_together_are_found_each_time(run: Run) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match="must precede critical"):
            run("--warn-ratio", "95%")


def test_nothing_secret_is_written_down(run: Run, cache: Path) -> None:
    run(MEMTOP_PROMETHEUS_BEARER_TOKEN="s3cret")
    run("--prometheus-url", "https://me:s3cret@prometheus.example")
    run("--prometheus-header", "Authorization=s3cret")
    assert not list(cache.rglob("*.json"))


def test_only_so_much_is_remembered(run: Run, cache: Path) -> None:
    for seconds in range(10, 40):
        run("--interval", f"{seconds}s")
    assert len(list(cache.rglob("*.json"))) <= 16


def test_a_cache_that_cannot_be_used_does_no_harm(run: Run, cache: Path) -> None:
    cache.write_text("not a folder")
    assert run("--interval", "30s").settings.observe.interval == 30
    cache.unlink()
    run("--interval", "30s")
    for kept in cache.rglob("*.json"):
        kept.write_text("{half")
    assert run("--interval", "30s").settings.observe.interval == 30
