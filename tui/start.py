"""Opens memtop's screen after it is known that there can be one."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from textual.theme import BUILTIN_THEMES

from config.errors import ConfigError
from memtop.kube.api_errors import KubeconfigError
from memtop.observe.watchlist import make_watchlist, start_demo
from tui.app import Memtop
from widgets.terminal_driver import TerminalWatchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.invocation import Invocation
    from memtop.observe.watchlist import Watchlist


def run_app(invocation: Invocation) -> int:
    """Opens memtop's screen.

    Returns:
        The exit code.

    Raises:
        ConfigError: A setting is wrong, or there is no terminal.
    """
    settings = invocation.settings
    if settings.ui.theme not in BUILTIN_THEMES:
        known = ", ".join(sorted(BUILTIN_THEMES))
        raise invocation.mistake("ui.theme", f"{settings.ui.theme!r} is no theme; there are {known}")
    if invocation.options.get("tour") and not invocation.options.get("demo"):
        raise ConfigError("flag --tour: the tour is through the demo's incident: add --demo")
    # Keys come from stdin, the screen's size from stdout, and it is drawn on stderr.
    if any(stream is None or not stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise ConfigError("the screen needs a terminal; `memtop --once` prints what it would show")
    watchdog = TerminalWatchdog(sys.stdin.fileno())
    watchdog.start()  # until the process has ended, however long that takes
    try:
        demo = bool(invocation.options.get("demo"))
        with ExitStack() as stack:
            first: Watchlist | Callable[[], Watchlist]
            if demo:  # the screen is painted while the cluster starts
                first = stack.enter_context(start_demo(settings, os.environ))
            else:
                first = make_watchlist(settings, os.environ)
            app = Memtop(
                settings, first, lambda other: make_watchlist(other, os.environ), demo=demo, watchdog=watchdog
            )
            if invocation.options.get("tour"):
                app.begin_tour()
            code = app.run()
    except KubeconfigError as error:
        raise ConfigError(invocation.blame(error, error.setting)) from error
    return code or app.return_code or 0
