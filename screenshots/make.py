"""Pictures of memtop's screens, from the embedded cluster: ``make screenshots``.

Each is an SVG and a PNG beside this file. The cluster, its past and the time of day are always the same; what
differs from run to run is the seconds that pass meanwhile. Another screen is another line in `PICTURES`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from textual.pilot import Pilot

from config import settings_from
from memtop.demo.thread import DemoThread
from memtop.observe.frame import Frame
from memtop.observe.view import SourceCondition
from memtop.observe.watchlist import at_speed, make_watchlist
from screenshots.svg import picture as picture_of
from tui.app import Memtop

HERE = Path(__file__).resolve().parent
NIGHT = datetime(2025, 3, 14, 3, 20, tzinfo=UTC).timestamp()
SPEED = 2.0
"""Not 1: a cluster at its own pace is not reported as one whose clock is wrong."""
PODS, SEED = 60, 7
PATIENCE = 200.0
"""Seconds; two captures of a heap are up to two minutes apart."""
FONT, PACKAGE = "DejaVu Sans Mono", "fonts-dejavu-core"


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: The files' name.
        size: Columns and lines.
        keys: What is pressed before it is taken, by Textual's names; ``~words`` waits for these words.
        shows: Words that have to be on the screen before it is taken.
        before: What is done to the cluster before.
    """

    name: str
    size: tuple[int, int]
    keys: Sequence[str] = ()
    shows: Sequence[str] = ("user-service",)
    before: Callable[[DemoThread], None] | None = None


def roll_out_half_way(demo: DemoThread) -> None:
    """Has a fix of user-service rolled out half-way and paused there for forty minutes."""
    container = {"name": "user-service", "image": "user-service:v2.1.0"}
    for spec, seconds in (
        ({"template": {"spec": {"containers": [container]}}}, 15),
        ({"paused": True}, 2400),
    ):
        request = urllib.request.Request(
            f"{demo.url}/apis/apps/v1/namespaces/production/deployments/user-service",
            data=json.dumps({"spec": spec}).encode(),
            method="PATCH",
            headers={
                "Content-Type": "application/strategic-merge-patch+json",
                "Authorization": "Bearer demo-admin",
            },
        )
        urllib.request.urlopen(request, timeout=PATIENCE).close()
        demo.advance(seconds)


SMALL, MIDDLE, LARGE = (80, 24), (120, 36), (180, 50)
IMAGE = ("home", "down", "i", "~that is the image it has", *"v2.1.0")
PLAN = (*IMAGE, "enter", "~Cancel")
STAGING = ("slash", *"staging", "space", *"user", "enter", "~staging")
"""Where the fix was shipped some hours ago."""
PICTURES = (
    Picture("overview-80x24", SMALL),
    Picture(
        "overview-120x36",
        MIDDLE,
        keys=(
            "home",
            "down",
        ),
        shows=("user-service", "8 leaking", "floor rises"),
    ),
    Picture(
        "overview-180x50",
        LARGE,
        keys=(
            "home",
            "down",
        ),
        shows=("user-service", "8 leaking", "floor rises"),
    ),
    Picture("growth", MIDDLE, keys=("tab", "tab", "z"), shows=("8 leaking", "floor rises")),
    Picture(
        "marked-rows",
        MIDDLE,
        keys=("w", "~deployment/", "home", "m", "m", "m", "R", "~Restart 3"),
        shows=("one after the other", "Cancel"),
    ),
    Picture("workloads", LARGE, keys=("w",), shows=("deployment/user-service", "OOMKilled")),
    Picture("trend", MIDDLE, keys=("home", "down", "enter"), shows=("floor rises", "in the last hour")),
    Picture(
        "logs", MIDDLE, keys=("home", "down", "enter", "l"), shows=("Heap usage", "following", "GC pauses")
    ),
    Picture(
        "previous",
        MIDDLE,
        keys=("home", "down", "enter", "p", "slash", *"cannot", "enter", "C"),
        shows=("Cannot allocate memory for large dataset", "±2 lines", "ends here"),
    ),
    Picture(
        "describe", MIDDLE, keys=("home", "down", "enter", "d"), shows=("user-service", "Reason:", "Ran For:")
    ),
    Picture("events", MIDDLE, keys=("home", "down", "enter", "e"), shows=("OOMKilling", "✖ OOM kill")),
    Picture("memory", MIDDLE, keys=("home", "down", "enter", "B"), shows=("It is heap", "java -Xmx")),
    Picture("heap", MIDDLE, keys=("home", "down", "enter", "h"), shows=("Capture what", "with jcmd")),
    Picture(
        "what-grew",
        MIDDLE,
        keys=("home", "down", "enter", "h", "~what grew", "enter", "~each as follows", "y"),
        shows=("SessionCache$Session", "GREW BY", "kept:"),
    ),
    Picture("workload", LARGE, keys=("home", "down", "W"), shows=("Revisions", "no pods now", "floor rises")),
    Picture("set-image", MIDDLE, keys=IMAGE, shows=("Images of its revisions", "no revision")),
    Picture(
        "set-memory",
        MIDDLE,
        keys=("home", "down", "M", "~the fullest of", "x", "2"),
        shows=("buys", "instead"),
    ),
    Picture("plan", MIDDLE, keys=PLAN, shows=("kubectl set image", "Cancel")),
    Picture("rollout", MIDDLE, keys=(*PLAN, "y"), shows=("Waiting for deployment", "3 new", "2 old")),
    Picture(
        "canary",
        MIDDLE,
        keys=("slash", *"user-service", "enter", "home", "o", "~Rollout of user-service", "v"),
        shows=("both over the same 4", "old: revision 2", "new: revision 3", "±", "Prometheus at"),
        before=roll_out_half_way,
    ),
    Picture(
        "timeline",
        MIDDLE,
        keys=("home", "down", "L"),
        shows=("revision 2 (image v2.0.0)", "What changed", "the floor begins to climb"),
    ),
    Picture(
        "advice", MIDDLE, keys=("home", "down", "W", "a"), shows=("no size can be given", "buys", "how sure")
    ),
    Picture(
        "alerts",
        MIDDLE,
        keys=("home", "down", "A", "~they would have paged"),
        shows=("near-limit", "OOM kills announced"),
    ),
    Picture("stabilisation", MIDDLE, keys=(*STAGING, "b"), shows=("HOLDING", "before", "OOM kills")),
)


async def take(picture: Picture, kubeconfig: Path) -> str:
    """Drives the app to the picture and returns it as SVG.

    Raises:
        TimeoutError: The words never came.
    """
    settings = settings_from({"cluster": {"kubeconfig": str(kubeconfig)}})
    app = Memtop(
        settings,
        at_speed(make_watchlist(settings, {}), SPEED),
        lambda other: make_watchlist(other, {}),
        demo=True,
    )
    async with app.run_test(size=picture.size) as pilot:
        await _until(pilot, app, ("user-service",))
        for key in picture.keys:
            if key.startswith("~"):
                await _until(pilot, app, (key[1:],))
            else:
                await pilot.press(key)
        await _until(pilot, app, picture.shows)
        return picture_of(app.screen._compositor.render_strips(), f"memtop: {picture.name}")


async def _until(pilot: Pilot[object], app: Memtop, words: Sequence[str]) -> None:
    """Waits until the words are there and nothing that was asked for is still on its way."""
    deadline = time.monotonic() + PATIENCE
    while True:
        await pilot.pause(0.3)
        frame = app.overview.frame
        shown = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        if frame is not None and _complete(frame) and all(word in shown for word in words):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{', '.join(words)} did not come within {PATIENCE:.0f} s:\n{shown}")


def _complete(frame: Frame) -> bool:
    return frame.settled and all(source.state is SourceCondition.LIVE for source in frame.sources)


def rasterize(svg: str, path: Path, columns: int) -> None:
    """Writes an SVG as PNG, twelve pixels to a column."""
    import cairosvg  # noqa: PLC0415  (needs a system library, which `check` has looked for)

    cairosvg.svg2png(bytestring=svg.encode(), write_to=str(path), output_width=columns * 12)


def missing() -> str:
    """What there is not on this machine that a PNG needs, as one sentence; empty if it is all there."""
    try:
        import cairosvg  # noqa: F401, PLC0415
    except OSError:
        return "PNG files need the Cairo library (Debian: apt-get install libcairo2)"
    if shutil.which("fc-list") is None:
        return "PNG files need fontconfig (Debian: apt-get install fontconfig)"
    known = subprocess.run(["fc-list", FONT], capture_output=True, text=True, check=False).stdout
    return "" if known else f"PNG files need the font {FONT} (Debian: apt-get install {PACKAGE})"


def main(names: Sequence[str]) -> int:
    """Makes the pictures of the given names, or all of them."""
    os.environ |= {"TZ": "UTC", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    time.tzset()
    lacking = missing()
    # No picture shows a path of the machine that it was made on.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in ("CONFIG", "STATE", "CACHE", "DATA"):
            os.environ[f"XDG_{name}_HOME"] = folder
        for picture in PICTURES:
            if names and picture.name not in names:
                continue
            with DemoThread(pods=PODS, seed=SEED, epoch=NIGHT, speed=SPEED) as demo:
                if picture.before is not None:
                    picture.before(demo)
                kubeconfig = Path("demo.kubeconfig")
                kubeconfig.write_text(demo.kubeconfig())
                svg = asyncio.run(take(picture, kubeconfig))
            (HERE / f"{picture.name}.svg").write_text(svg)
            if not lacking:
                rasterize(svg, HERE / f"{picture.name}.png", picture.size[0])
            print(picture.name)
    if lacking:
        print(f"Only SVG files were made: {lacking}.", file=sys.stderr)
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
