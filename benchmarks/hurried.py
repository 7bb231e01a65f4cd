"""The screen on a demo cluster that runs elsewhere and whose time passes faster: for steady_state.py."""

from __future__ import annotations

import gc
import os
import sys

from config.invocation import parse
from memtop.observe.watchlist import at_speed, make_watchlist
from tui.app import Memtop


def main() -> None:
    """Opens the screen; the arguments are a kubeconfig and the speed."""
    path, speed = sys.argv[1:]
    gc.disable()  # as tui.cli does until the screen is painted
    settings = parse(["--kubeconfig", path, "-A", "--no-prometheus"], os.environ).settings
    hurried = at_speed(make_watchlist(settings, os.environ), float(speed))
    Memtop(settings, hurried, lambda other: make_watchlist(other, os.environ), demo=True).run()


if __name__ == "__main__":
    main()
