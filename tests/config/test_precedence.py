"""Flag beats variable beats file beats default, and each value knows where it comes from."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from config.invocation import Invocation, parse


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def run(*argv: str, **environ: str) -> Invocation:
    return parse(argv, {"XDG_CONFIG_HOME": "/nonexistent", **environ})


def test_without_anything_every_setting_has_its_default() -> None:
    invocation = run()
    assert invocation.command == "tui"
    assert invocation.settings.observe.interval == 15
    assert invocation.settings.observe.history == 24
    assert (invocation.settings.observe.warn_ratio, invocation.settings.observe.critical_ratio) == (0.7, 0.9)
    assert invocation.settings.cluster.namespaces == ()
    assert set(invocation.provenance.values()) == {"default"}


def test_the_stronger_source_wins(settings_file: Path) -> None:
    settings_file.write_text('[observe]\ninterval = "1m"\n\n[ui]\ntheme = "nord"\nsymbols = "ascii"\n')
    invocation = run(
        "--interval",
        "30s",
        MEMTOP_CONFIG=str(settings_file),
        MEMTOP_INTERVAL="45s",
        MEMTOP_THEME="dracula",
    )
    assert invocation.settings.observe.interval == 30
    assert invocation.provenance["observe.interval"] == "flag --interval"
    assert invocation.settings.ui.theme == "dracula"
    assert invocation.provenance["ui.theme"] == "variable MEMTOP_THEME"
    assert invocation.settings.ui.symbols == "ascii"
    assert invocation.provenance["ui.symbols"] == f"file {settings_file}, line 6"
    assert invocation.provenance["ui.symbols"] != invocation.provenance["demo.pods"] == "default"


def test_the_config_flag_beats_the_variable(settings_file: Path, tmp_path: Path) -> None:
    settings_file.write_text("[demo]\npods = 7\n")
    other = tmp_path / "other.toml"
    other.write_text("[demo]\npods = 8\n")
    assert run(f"--config={settings_file}", MEMTOP_CONFIG=str(other)).settings.demo.pods == 7
    assert run(MEMTOP_CONFIG=str(other)).settings.demo.pods == 8


def test_the_file_is_found_in_the_configuration_folder(tmp_path: Path) -> None:
    (tmp_path / "memtop").mkdir()
    (tmp_path / "memtop" / "config.toml").write_text("[safety]\nread_only = true\n")
    assert parse([], {"XDG_CONFIG_HOME": str(tmp_path)}).settings.safety.read_only


def test_an_empty_variable_counts_as_not_set() -> None:
    assert run(MEMTOP_INTERVAL="", MEMTOP_NAMESPACE=" ").provenance["observe.interval"] == "default"


def test_variables_of_a_service_named_memtop_are_not_ours() -> None:
    invocation = run(
        MEMTOP_SERVICE_HOST="10.0.0.1",
        MEMTOP_SERVICE_PORT_HTTP="80",
        MEMTOP_PORT="tcp://10.0.0.1:80",
        MEMTOP_PORT_80_TCP_ADDR="10.0.0.1",
        MEMTOP_WEB_SERVICE_PORT="80",
    )
    assert set(invocation.provenance.values()) == {"default"}


@pytest.mark.parametrize(
    ("argv", "namespaces"),
    [
        (["-n", "shop"], ("shop",)),
        (["-nshop"], ("shop",)),
        (["-n=shop"], ("shop",)),
        (["--namespace=shop,billing", "-n", "shop"], ("shop", "billing")),
        (["-n", "shop", "-n", "billing"], ("shop", "billing")),
    ],
)
def test_namespaces_repeat_and_split_at_commas(argv: list[str], namespaces: tuple[str, ...]) -> None:
    assert run(*argv).settings.cluster.namespaces == namespaces


def test_a_named_namespace_beats_all_namespaces_of_a_weaker_source(settings_file: Path) -> None:
    settings_file.write_text("[cluster]\nall_namespaces = true\n")
    invocation = run("-n", "shop", MEMTOP_CONFIG=str(settings_file))
    assert invocation.settings.cluster.namespaces == ("shop",)
    assert not invocation.settings.cluster.all_namespaces
    assert invocation.provenance["cluster.all_namespaces"] == "flag -n"


def test_all_namespaces_beats_a_namespace_of_a_weaker_or_equal_source() -> None:
    invocation = run("-A", MEMTOP_NAMESPACE="shop")
    assert invocation.settings.cluster.all_namespaces
    assert invocation.settings.cluster.namespaces == ()
    assert run("-A", "-n", "shop").settings.cluster.all_namespaces


def test_tables_gather_from_all_sources(settings_file: Path) -> None:
    settings_file.write_text("[logs.presets]\nleak = 'leaked \\d+'\ngc = 'sweep'\n")
    invocation = run(
        "--log-preset",
        "gc=pause=\\d+",
        MEMTOP_CONFIG=str(settings_file),
        MEMTOP_PROMETHEUS_HEADER="X-Scope-OrgID=team\nX-Other=a=b",
    )
    presets = invocation.settings.logs.presets
    assert presets["leak"] == "leaked \\d+"
    assert presets["gc"] == "pause=\\d+"
    assert "heap" in presets
    assert invocation.provenance["logs.presets.leak"] == f"file {settings_file}, line 2"
    assert invocation.provenance["logs.presets.gc"] == "flag --log-preset"
    assert invocation.provenance["logs.presets.heap"] == "default"
    assert invocation.settings.prometheus.headers == {"X-Scope-OrgID": "team", "X-Other": "a=b"}


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["--read-only"], True),
        (["--no-read-only"], False),
        (["--read-only=false"], False),
        (["--read-only", "--no-read-only"], False),
    ],
)
def test_a_switch_can_be_negated(argv: list[str], wanted: bool) -> None:
    assert run(*argv, MEMTOP_READ_ONLY="yes").settings.safety.read_only is wanted


def test_a_section_can_be_switched_off() -> None:
    assert not run("--no-prometheus").settings.prometheus.enabled
    assert not run(MEMTOP_PROMETHEUS="off").settings.prometheus.enabled


@pytest.mark.parametrize("written", ["80", "80%", "0.8", " 80 % "])
def test_a_share_of_the_limit_can_be_written_three_ways(written: str) -> None:
    assert run(MEMTOP_WARN_RATIO=written).settings.observe.warn_ratio == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("written", "seconds"), [("15", 15), ("15s", 15), ("2m", 120), ("1m30s", 90), ("0.5h", 1800)]
)
def test_an_interval_has_units(written: str, seconds: float) -> None:
    assert run("--interval", written).settings.observe.interval == seconds


@pytest.mark.parametrize(("written", "hours"), [("6", 6), ("6h", 6), ("90m", 1.5), ("2d", 48)])
def test_a_history_counts_hours(written: str, hours: float) -> None:
    assert run("--history", written).settings.observe.history == hours


@pytest.mark.parametrize(
    "selector",
    [
        "app=shop",
        "app==shop,tier!=cache",
        "!canary",
        "app",
        "env in (a, b),x notin (c)",
        "example.com/app=",
        "a=b, c=d",
    ],
)
def test_selectors_that_kubectl_takes(selector: str) -> None:
    assert run("-l", selector).settings.cluster.selector == selector


def test_settings_do_not_change() -> None:
    settings = run().settings
    with pytest.raises(FrozenInstanceError):
        settings.observe.interval = 3  # type: ignore[misc]


def test_secrets_are_not_in_a_settings_repr() -> None:
    invocation = run(
        MEMTOP_PROMETHEUS_BEARER_TOKEN="hunter2", MEMTOP_PROMETHEUS_HEADER="Authorization=hunter2"
    )
    assert invocation.settings.prometheus.bearer_token == "hunter2"
    assert "hunter2" not in repr(invocation)


def test_a_later_mistake_names_the_source(settings_file: Path) -> None:
    settings_file.write_text('[cluster]\ncontext = "nowhere"\n')
    invocation = run(MEMTOP_CONFIG=str(settings_file))
    error = invocation.mistake("cluster.context", "'nowhere' is not a context")
    assert str(error) == f"file {settings_file}, line 2, cluster.context: 'nowhere' is not a context"
