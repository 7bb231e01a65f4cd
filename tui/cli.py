"""The command ``memtop``: reads the command line and hands over to the command that does the work."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from config.errors import ConfigError

if TYPE_CHECKING:
    from config.invocation import Invocation

# Each import waits until its command is asked for: `memtop --version` must not pay for the screen.
# ruff: noqa: PLC0415


_HUNG_UP = 129
"""Exit code after SIGHUP: the terminal has gone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs memtop.

    Args:
        argv: The words after the program's name; by default the process's own.

    Returns:
        The exit code: 2 for a mistake in the command line, a variable or the settings file, 130 after
        Ctrl-C, 141 when nobody reads the output any more, 1 when it cannot be written, else the command's.
    """
    # For numpy, before it is imported. Its products are small here, and threads that spin until the next one
    # cost more than they save: judging 20,000 containers takes a third of the CPU without them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    words = list(sys.argv[1:] if argv is None else argv)
    printing = sys.stdout is not None  # Python's own word for a descriptor that is closed
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if not printing:
        sys.stdout = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no "…" is no crash
    try:
        _require_output(open_=printing)
        code = _version() if words == ["--version"] else _run(words)
        sys.stdout.flush()
    except ConfigError as error:
        print(f"memtop: {_printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `memtop config | head`
        _write_nowhere(sys.stdout)
        return 141
    except OSError as error:  # `memtop config > /dev/full`
        _write_nowhere(sys.stdout)
        what = f"{error.filename}" if error.filename else "what is to be printed cannot be written"
        print(f"memtop: {_printable(f'{what}: {error.strerror or error}')}", file=sys.stderr)
        return 1
    return code


def _require_output(*, open_: bool) -> None:
    if not open_:
        raise ConfigError("standard output is closed: there is nowhere to print to")


def _nowhere() -> TextIO:
    """In place of a stream whose descriptor is closed."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  (until the end)


def _write_nowhere(*streams: TextIO) -> None:
    """Nobody reads these any more; Python would complain of it, and exit with 120, when it closes them."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


def _printable(text: str) -> str:
    """Text with its control characters spelled out: a value that somebody wrote may hold any."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _run(words: Sequence[str]) -> int:
    from config.invocation import parse

    gc.disable()  # next to nothing that is made while starting is garbage, and looking for it takes a while
    try:
        invocation = parse(words, os.environ)
        if invocation.command != "tui":  # the screen does so itself, once it is painted
            gc.enable()
        code = _logged(invocation)
    finally:
        gc.enable()
    if code == _HUNG_UP:
        _write_nowhere(sys.stdout, sys.stderr)
    return code


def _logged(invocation: Invocation) -> int:
    """Runs the command, with a log file where one is named."""
    command = COMMANDS[invocation.command]
    if invocation.log_file is None or invocation.command == "debug":
        return command(invocation)
    from pathlib import Path

    from memtop import __version__
    from memtop.log_file import LogFileError, get_logger, log_to, secrets_of

    logger = get_logger("command")
    try:
        with log_to(Path(invocation.log_file), secrets_of(invocation.settings)):
            logger.info("memtop %s begins: %s", __version__, invocation.command)
            try:
                code = command(invocation)
            except (ConfigError, BrokenPipeError) as error:
                logger.info("memtop ends: %s", error)
                raise
            except Exception:
                logger.exception("memtop ends by an exception")
                raise
            logger.info("memtop ends with exit code %d", code)
            return code
    except LogFileError as error:
        raise ConfigError(str(error)) from None


def _version(_: Invocation | None = None) -> int:
    from memtop import __version__

    print(f"memtop {__version__}")
    return 0


def _debug(invocation: Invocation) -> int:
    from memtop.commands.debug import debug_text

    print(debug_text(invocation, os.environ))
    return 0


def _tui(invocation: Invocation) -> int:
    from tui.start import run_app

    return run_app(invocation)


def _once(invocation: Invocation) -> int:
    from memtop.commands.once import run_once

    return run_once(invocation, sys.stdout, sys.stderr)


def _config(invocation: Invocation) -> int:
    from config.show import show

    print(show(invocation, invocation.options["output"]))
    return 0


def _doctor(invocation: Invocation) -> int:
    from memtop.commands.doctor import run_doctor

    return run_doctor(invocation, sys.stdout)


def _classify(invocation: Invocation) -> int:
    from memtop.commands.classify import run_classify
    from memtop.commands.sample_tables import TableColumns

    columns = TableColumns(invocation.options["time"], invocation.options["value"])
    return run_classify(invocation.arguments, sys.stdout, sys.stderr, columns)


def _logs(invocation: Invocation) -> int:
    from memtop.commands.logs import run_logs

    return run_logs(invocation, sys.stdout, sys.stderr)


def _demo_serve(invocation: Invocation) -> int:
    import asyncio
    from pathlib import Path

    from platformdirs import user_cache_path

    from memtop.demo.child_process import DemoOptions
    from memtop.demo.serve import serve

    demo = invocation.settings.demo
    wanted = DemoOptions(pods=demo.pods, speed=demo.speed, seed=demo.seed, churn=demo.churn)
    written = invocation.options["kubeconfig_out"]
    path = Path(written) if written else user_cache_path("memtop", appauthor=False) / "demo.kubeconfig"
    try:
        asyncio.run(serve(wanted, path, invocation.options["port"]))
    except OSError as error:  # the port is taken, or the path cannot be written
        raise ConfigError(f"command 'demo serve': {error}") from None
    return 0


def _rollout_status(invocation: Invocation) -> int:
    from memtop.commands.rollout import run_status

    return run_status(invocation, sys.stdout, sys.stderr)


def _rollout_history(invocation: Invocation) -> int:
    from memtop.commands.rollout import run_history

    return run_history(invocation, sys.stdout, sys.stderr)


def _rollout_compare(invocation: Invocation) -> int:
    from memtop.commands.rollout_compare import run_compare

    return run_compare(invocation, sys.stdout, sys.stderr)


def _rollout_undo(invocation: Invocation) -> int:
    from memtop.commands.change import Console
    from memtop.commands.rollout import run_undo

    return run_undo(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _rollout_restart(invocation: Invocation) -> int:
    from memtop.commands.change import Console
    from memtop.commands.rollout import run_restart

    return run_restart(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _rollout_pause(invocation: Invocation) -> int:
    from memtop.commands.change import Console
    from memtop.commands.rollout import run_pause

    return run_pause(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _rollout_resume(invocation: Invocation) -> int:
    from memtop.commands.change import Console
    from memtop.commands.rollout import run_resume

    return run_resume(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _watch(invocation: Invocation) -> int:
    from memtop.commands.watch import run_watch

    return run_watch(invocation, sys.stdout, sys.stderr)


def _timeline(invocation: Invocation) -> int:
    from memtop.commands.timeline import run_timeline

    return run_timeline(invocation, sys.stdout, sys.stderr)


def _mcp(invocation: Invocation) -> int:
    from memtop.commands.mcp_server import run_mcp

    return run_mcp(invocation, sys.stderr)


def _set_image(invocation: Invocation) -> int:
    from memtop.commands.change import Console, run_set_image

    return run_set_image(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _set_memory(invocation: Invocation) -> int:
    from memtop.commands.change import Console, run_set_memory

    return run_set_memory(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _audit(invocation: Invocation) -> int:
    from memtop.commands.audit import run_audit

    return run_audit(invocation, sys.stdout, sys.stderr)


def _heap_summary(invocation: Invocation) -> int:
    from memtop.commands.heap import run_summary

    return run_summary(invocation, sys.stdout, sys.stderr)


def _heap_diff(invocation: Invocation) -> int:
    from memtop.commands.heap import run_diff

    return run_diff(invocation, sys.stdout, sys.stderr)


def _heap_what_grew(invocation: Invocation) -> int:
    from memtop.commands.change import Console
    from memtop.commands.what_grew import run_what_grew

    return run_what_grew(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _heap_list(invocation: Invocation) -> int:
    from memtop.commands.heap import run_list

    return run_list(invocation, sys.stdout, sys.stderr)


def _heap_remove(invocation: Invocation) -> int:
    from memtop.commands.heap import run_remove

    return run_remove(invocation, sys.stdout, sys.stderr)


def _advise(invocation: Invocation) -> int:
    from memtop.commands.advise import run_advise
    from memtop.commands.change import Console

    return run_advise(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _report(invocation: Invocation) -> int:
    from memtop.commands.report import run_report

    return run_report(invocation, sys.stdout, sys.stderr)


def _rules(invocation: Invocation) -> int:
    from memtop.commands.rules import run_rules

    return run_rules(invocation, sys.stdout, sys.stderr)


def _dashboard(invocation: Invocation) -> int:
    from memtop.commands.rules import run_dashboard

    return run_dashboard(invocation, sys.stdout, sys.stderr)


def _rules_apply(invocation: Invocation) -> int:
    from memtop.commands.change import Console
    from memtop.commands.rules import run_rules_apply

    return run_rules_apply(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _rules_undo(invocation: Invocation) -> int:
    from memtop.commands.change import Console
    from memtop.commands.rules import run_rules_undo

    return run_rules_undo(invocation, Console(sys.stdout, sys.stderr, sys.stdin))


def _completion(invocation: Invocation) -> int:
    from config.help_and_completion import completion_script

    print(completion_script(invocation.arguments[0]))
    return 0


def _help(invocation: Invocation) -> int:
    from config.help_and_completion import help_text

    print(help_text(" ".join(invocation.arguments)))
    return 0


COMMANDS: dict[str, Callable[[Invocation], int]] = {
    "tui": _tui,
    "once": _once,
    "config": _config,
    "doctor": _doctor,
    "classify": _classify,
    "logs": _logs,
    "demo serve": _demo_serve,
    "rollout status": _rollout_status,
    "rollout history": _rollout_history,
    "rollout compare": _rollout_compare,
    "rollout undo": _rollout_undo,
    "rollout restart": _rollout_restart,
    "rollout pause": _rollout_pause,
    "rollout resume": _rollout_resume,
    "watch": _watch,
    "timeline": _timeline,
    "mcp": _mcp,
    "set image": _set_image,
    "set memory": _set_memory,
    "audit": _audit,
    "heap summary": _heap_summary,
    "heap diff": _heap_diff,
    "heap what-grew": _heap_what_grew,
    "heap list": _heap_list,
    "heap remove": _heap_remove,
    "advise": _advise,
    "report": _report,
    "rules": _rules,
    "dashboard": _dashboard,
    "rules apply": _rules_apply,
    "rules undo": _rules_undo,
    "completion": _completion,
    "help": _help,
    "version": _version,
    "debug": _debug,
}


if __name__ == "__main__":
    sys.exit(main())
