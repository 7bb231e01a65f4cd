"""Every mistake is one sentence that names the source and the value."""

import os
import sys
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.invocation import parse


def sentence(*argv: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(argv, {"XDG_CONFIG_HOME": "/nonexistent", **environ})
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--bogus"], "flag --bogus is unknown"),
        (["--intervall", "5s"], "flag --intervall is unknown; did you mean --interval?"),
        (["-x"], "flag -x is unknown"),
        (["--interval"], "flag --interval needs a value"),
        (["--interval", "--once"], "flag --interval needs a value"),
        (["--interval", "fast"], "flag --interval: 'fast' is not a duration such as 15s, 2m or 24h"),
        (["--interval", "-3s"], "flag --interval: '-3s' is not a duration such as 15s, 2m or 24h"),
        (["--interval", "nan"], "flag --interval: 'nan' is not a duration such as 15s, 2m or 24h"),
        (["--interval=0"], "flag --interval: '0' is not between 1s and 1h"),
        (["--interval="], "flag --interval: '' is not a duration such as 15s, 2m or 24h"),
        (["--history", "30d"], "flag --history: '30d' is not between 15m and 7d"),
        (
            ["--warn-ratio", "lots"],
            "flag --warn-ratio: 'lots' is not a share of the limit such as 70%, 70 or 0.7",
        ),
        (["--warn-ratio", "170%"], "flag --warn-ratio: '170%' is not a share between 0 and 100%"),
        (
            ["--warn-ratio", "95"],
            "flag --warn-ratio and setting observe.critical_ratio: "
            "a warning at 95% must precede critical at 90%",
        ),
        (
            ["--symbols", "brail"],
            "flag --symbols: 'brail' is not one of braille, block, ascii; did you mean braille?",
        ),
        (
            ["-n", "Shop"],
            "flag -n: 'Shop' names no possible namespace: 'Shop' (lower case letters, digits and '-')",
        ),
        (["--context", ""], "flag --context: '' is empty"),
        (["--read-only=perhaps"], "flag --read-only: 'perhaps' is not true or false"),
        (["--no-read-only=no"], "flag --no-read-only takes no value, but has 'no'"),
        (["--once=yes"], "flag --once takes no value, but has 'yes'"),
        (["--demo-pods", "many"], "flag --demo-pods: 'many' is not a whole number"),
        (["--demo-pods", "1.5"], "flag --demo-pods: '1.5' is not a whole number"),
        (["--demo-pods", "0"], "flag --demo-pods: '0' is not between 1 and 100000"),
        (["--log-preset", "gc"], "flag --log-preset: 'gc' is not NAME=REGEX"),
        (
            ["--log-preset", "gc=(a"],
            "flag --log-preset: '(a' is not a regular expression: "
            "missing ), unterminated subpattern at character 1",
        ),
        (["--prometheus-header", "hunter2"], "flag --prometheus-header: is not NAME=VALUE"),
        (
            ["--prometheus-url", "prometheus:9090"],
            "flag --prometheus-url: 'prometheus:9090' is not an address such as https://prometheus.example:9090",
        ),
        (
            ["--prometheus-password", "hunter2"],
            "flag --prometheus-password does not exist, because every user of the machine can read a command "
            "line; set MEMTOP_PROMETHEUS_PASSWORD or prometheus.password in the settings file",
        ),
        (["--once", "-o", "yaml"], "flag -o: 'yaml' is not one of table, wide, json, markdown"),
        (
            ["--once", "--watch-for", "soon"],
            "flag --watch-for: 'soon' is not a duration such as 15s, 2m or 24h",
        ),
        (["--watch-for", "1m"], "flag --watch-for belongs to --once"),
        (
            ["config", "--port", "1"],
            "flag --port belongs to the command 'demo serve', not to the command 'config'",
        ),
        (
            ["classify", "--demo", "x"],
            "flag --demo belongs to memtop without a command and to the command 'doctor' "
            "and to the command 'logs' and to the command 'rollout compare' and to the command 'timeline' "
            "and to the command 'advise' and to the command 'report' and to the command 'mcp' "
            "and to the command 'heap what-grew' and to the command 'rules' "
            "and to the command 'dashboard', "
            "not to the command 'classify'",
        ),
        (
            ["config", "--once"],
            "flag --once belongs to memtop without a command, not to the command 'config'",
        ),
        (
            ["-l", "app=a b"],
            "flag -l: 'app=a b' is not a label selector such as app=shop,tier!=cache: see 'app=a b'",
        ),
        (
            ["-l", "a=b,env in x"],
            "flag -l: 'a=b,env in x' is not a label selector such as app=shop,tier!=cache: see 'env in x'",
        ),
        (
            ["--prometheus-url", "http//me:hunter2@prom"],
            "flag --prometheus-url: 'http//***@prom' is not an address such as https://prometheus.example:9090",
        ),
        (
            ["--prometheus-header", "a b=c"],
            "flag --prometheus-header: the value has 'a b', which cannot be a header's name",
        ),
        (["confg"], "command 'confg' is unknown; did you mean config?"),
        (["tui"], "command 'tui' is unknown"),
        (["demo"], "command 'demo' needs another word: demo serve"),
        (["demo", "serve", "now"], "command 'demo serve' has no use for 'now'"),
        (["demo", "serve", "--port", "65536"], "flag --port: '65536' is not between 0 and 65535"),
        (["classify"], "command 'classify' needs FILE..."),
        (["completion"], "command 'completion' needs SHELL: bash, zsh, fish"),
        (["completion", "tcsh"], "command 'completion': 'tcsh' is not one of bash, zsh, fish"),
        (["help", "cooking"], "command 'help': there is no command 'cooking'"),
        (["--config", ""], "flag --config: '' is empty"),
        (["--config", "/nonexistent/x.toml"], "file /nonexistent/x.toml does not exist"),
    ],
)
def test_on_the_command_line(argv: list[str], said: str) -> None:
    assert sentence(*argv) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "MEMTOP_INTERVALL",
            "5s",
            "variable MEMTOP_INTERVALL is not one that memtop knows; did you mean MEMTOP_INTERVAL?",
        ),
        ("MEMTOP_INTERVAL", "5x", "variable MEMTOP_INTERVAL: '5x' is not a duration such as 15s, 2m or 24h"),
        ("MEMTOP_READ_ONLY", "maybe", "variable MEMTOP_READ_ONLY: 'maybe' is not true or false"),
        ("MEMTOP_LOG_PRESET", "gc", "variable MEMTOP_LOG_PRESET: 'gc' is not NAME=REGEX"),
        ("MEMTOP_CONFIG", "/nonexistent/x.toml", "file /nonexistent/x.toml does not exist"),
    ],
)
def test_in_a_variable(name: str, value: str, said: str) -> None:
    assert sentence(**{name: value}) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "[observe]\nintervall = 5\n",
            ", line 2: unknown key observe.intervall; did you mean observe.interval?",
        ),
        ("[ui]\ninterval = 5\n", ", line 2: unknown key ui.interval; did you mean observe.interval?"),
        ("interval = 5\n", ", line 1: 'interval' is not a table of settings; did you mean observe.interval?"),
        ("\n[observ]\n", ", line 2: 'observ' is not a table of settings; did you mean observe?"),
        ("observe = 5\n", ", line 1: 'observe' is a table; write its settings under [observe]"),
        (
            '[observe]\n\ninterval = "fast"\n',
            ", line 3, observe.interval: 'fast' is not a duration such as 15s, 2m or 24h",
        ),
        (
            "[observe]\ninterval = true\n",
            ", line 2, observe.interval: True is not a duration such as 15s, 2m or 24h",
        ),
        ("observe.interval = 0\n", ", line 1, observe.interval: 0 is not between 1s and 1h"),
        ("observe = { interval = 0 }\n", ", line 1, observe.interval: 0 is not between 1s and 1h"),
        ("[cluster]\nnamespaces = 5\n", ', line 2, cluster.namespaces: 5 is not a list such as ["a", "b"]'),
        (
            "[cluster]\nnamespaces = [5]\n",
            ", line 2, cluster.namespaces: [5] is not a text (write it in quotes)",
        ),
        ("[cluster]\nall_namespaces = [1]\n", ", line 2, cluster.all_namespaces: [1] is not true or false"),
        ("[cluster]\ncontext = 5\n", ", line 2, cluster.context: 5 is not a text (write it in quotes)"),
        ("[ui]\nsymbols = 5\n", ", line 2, ui.symbols: 5 is not one of braille, block, ascii"),
        (
            "[logs.presets]\ngc = '*'\n",
            ", line 2, logs.presets.gc: '*' is not a regular expression: nothing to repeat at character 1",
        ),
        ("[logs.presets]\ngc = ''\n", ", line 2, logs.presets.gc: '' is empty"),
        (
            "[prometheus]\nheaders = 'hunter2'\n",
            ", line 2, prometheus.headers: the value is not a table such as ",
        ),
        (
            '[prometheus.headers]\nX-Key = "hunter2\\nX: y"\n',
            ", line 2, prometheus.headers.X-Key: the value has control characters",
        ),
        (
            "[prometheus]\npassword = 12345\n",
            ", line 2, prometheus.password: the value is not a text (write it in quotes)",
        ),
        (
            "[prometheus]\nusername = 'me'\nbearer_token = 'hunter2'\n",
            ", line 2, prometheus.username and file {path}, line 3, prometheus.bearer_token: "
            "Prometheus can be given only one way to log in",
        ),
        ("[observe]\ninterval = \n", ", line 2, column 12: not TOML: "),
        ("[observe\n", ", line 1, column 9: not TOML: "),
        ("[observe]\ninterval", ", line 2: not TOML: "),
        (
            "[observe]\ninterval = 5\ninterval = 6\n",
            ", line 3, column 13: not TOML: ",
        ),
    ],
)
def test_in_the_file(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(content)
    text = sentence("--config", str(path))
    assert text.startswith(f"file {path}{said.format(path=path) if '{path}' in said else said}")
    assert "hunter2" not in text


def test_a_mistake_does_not_hide_behind_a_stronger_value(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[observe]\ninterval = "fast"\n')
    assert "line 2, observe.interval: 'fast'" in sentence("--interval", "5s", MEMTOP_CONFIG=str(path))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    assert sentence("--config", str(path)) == f"file {path} is not UTF-8 text"


def test_a_file_that_is_a_folder(tmp_path: Path) -> None:
    assert sentence("--config", str(tmp_path)) == f"file {tmp_path} cannot be read: Is a directory"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    path.chmod(0)
    assert sentence("--config", str(path)) == f"file {path} cannot be read: Permission denied"


@pytest.mark.parametrize(
    "argv", [["--help"], ["help"], ["--version", "-A"], ["completion", "bash"], ["classify", "x"]]
)
def test_what_needs_no_settings_works_with_broken_ones(argv: list[str]) -> None:
    parse(argv, {"MEMTOP_CONFIG": "/nonexistent/x.toml", "MEMTOP_NONSENSE": "1"})
