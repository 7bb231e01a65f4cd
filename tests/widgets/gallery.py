"""Every widget on one screen, to be looked at: ``python tests/widgets/gallery.py [SYMBOLS] [THEME]``.

Keys: f filter, p picker, e failure panel, tab next pane, r one more frame.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Hashable, Sequence
from datetime import UTC
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer

from memtop import wording
from widgets.cell_graphs import sparkline, usage_bar, usage_level
from widgets.header import HeaderData, SourceLine, StatusHeader
from widgets.key_and_filter_bars import FilterBar
from widgets.memory_plots import TrendPlot
from widgets.panes import MessagePanel, PanelMessage, TitledPane
from widgets.picker import Picker, PickerItem
from widgets.styled_text import Symbols
from widgets.table import LiveTable
from widgets.table_parts import Cell, PlacedColumn, TableColumn
from widgets.terse_display import TerseDisplay
from widgets.trend_data import Trend

NOW = 1_790_000_000.0
GI = 1024**3
MI = 1024**2
TOP = [
    TableColumn("name", "Container", 22, flex=3, max_width=60),
    TableColumn("memory", "Memory", 8, justify="right"),
    TableColumn("limit", "Limit", 8, justify="right", drop_order=2),
    TableColumn("percent", "%", 5, justify="right"),
    TableColumn("share", "Of limit", 10, flex=1, max_width=24, drop_order=4),
    TableColumn("trend", "Recent", 8, flex=1, max_width=24, drop_order=3),
    TableColumn("growth", "Growth", 12, justify="right"),
    TableColumn("left", "To limit", 9, justify="right", drop_order=1),
]
NAMES = ["user-service-7f8d9c6b5", "checkout-5d9f", "catalog-jvm-6c7d8e9f1", "cache-warm-0", "nightly-report"]


class Containers:
    def __init__(self, count: int, symbols: Symbols, tick: int = 0) -> None:
        dice = random.Random(7)
        self.symbols = symbols
        self.rows = []
        for i in range(count):
            letters = "".join(dice.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
            ratio = max(0.02, 0.97 - i * 0.035 + dice.uniform(-0.01, 0.01))
            limit = dice.choice([512 * MI, GI, 2 * GI]) if i % 9 != 4 else None
            series = [
                max(0.01, ratio - (40 - j) * (0.01 if i % 5 == 0 else 0.0) + dice.uniform(-0.03, 0.03))
                for j in range(40)
            ]
            growth = [48 * MI, 0.0, -1.2 * MI, 3.1 * MI, None][i % 5]
            self.rows.append(
                (
                    f"{NAMES[i % 5]}-{letters}",
                    ratio + (tick * 0.002 if i % 5 == 0 else 0),
                    limit,
                    series,
                    growth,
                )
            )

    def __len__(self) -> int:
        return len(self.rows)

    def key(self, i: int) -> Hashable:
        return self.rows[i][0]

    def index(self, key: Hashable) -> int | None:
        return next((i for i, row in enumerate(self.rows) if row[0] == key), None)

    def cells(self, i: int, columns: Sequence[PlacedColumn]) -> Sequence[Cell]:
        name, ratio, limit, series, growth = self.rows[i]
        size = limit or GI
        known = ratio if limit else None
        judged = usage_level(known, 0.7, 0.9)
        hours = (size - ratio * size) / growth if limit and growth and growth > 0 else None
        made: dict[str, Cell] = {
            "name": name,
            "memory": quantity(wording.bytes_(ratio * size)),
            "limit": Text(wording.bytes_(limit) if limit else "none", "dim"),
            "percent": Text(wording.share(known), judged if judged != "ok" else ""),
            "growth": quantity(wording.rate(growth), "warn" if growth and growth > 40 * MI else ""),
            "left": wording.duration(hours * 3600 if hours else None),
        }
        for column, width in columns:
            if column.key == "share":
                made["share"] = usage_bar(known, width, 0.7, 0.9, self.symbols)
            if column.key == "trend":
                made["trend"] = sparkline(series, width, 1.0 if limit else None, self.symbols)
        return [made[column.key] for column, _ in columns]


def quantity(words: str, role: str = "") -> Text:
    number, _, unit = words.partition(" ")
    return Text.assemble((number, role), (f" {unit}" if unit else "", role or "dim"))


def leak(symbols: Symbols) -> Trend:
    dice = random.Random(3)
    times = [NOW - 24 * 3600 + i * 60 for i in range(1440)]
    values = []
    for i in range(1440):
        phase = (i + 200) % 520
        values.append(
            math.nan if 700 <= i < 760 else (0.35 + phase / 800) * 2 * GI + dice.uniform(0, 0.12) * GI
        )
    kills = [times[i] for i in range(1440) if (i + 200) % 520 == 0]
    return Trend(
        title="production/user-service-7f8d9c6b5-5wrk4 · user-service",
        times=times,
        values=values,
        limit=2 * GI,
        request=GI,
        floor=([times[1100], times[-1]], [1.1 * GI, 1.75 * GI]),
        restarts=[times[520]],
        oom_kills=kills,
        caption="Leak: the floor rises 152 ± 6 MiB/h, 95 % sure; seen for 24 h, cut by 3 OOM kills.",
    )


class Failure(ModalScreen[None]):
    BINDINGS: ClassVar = [Binding("escape,q", "dismiss", "Back")]

    def compose(self) -> ComposeResult:
        yield MessagePanel(
            PanelMessage(
                "The credential plugin failed",
                "'aws-iam-authenticator' (users[0] of ~/.kube/config) ended with exit code 1 after 2.1 s.",
                "could not get token: AccessDenied: User [arn:aws:iam::1:user/x] may not\n\tstatus code: 403",
                details_title="It said on its standard error",
                steps=[
                    "Run it by hand: aws-iam-authenticator token -i prod",
                    "Choose another context with memtop --context",
                ],
                keys=[("r", "try again"), ("c", "other context"), ("q", "quit")],
            )
        )


class Gallery(TerseDisplay[None]):
    CSS = """
    #panes { height: 1fr; }
    #left { width: 3fr; margin-right: 1; }
    .narrow #left { margin-right: 0; }
    #right { width: 2fr; }
    .narrow #right { display: none; }
    FilterBar { display: none; }
    FilterBar.-open { display: block; }
    """
    BINDINGS: ClassVar = [
        Binding("slash", "filter", "Filter"),
        Binding("n", "picker", "Namespace"),
        Binding("e", "failure", "Failure"),
        Binding("r", "frame", "Frame"),
        Binding("tab", "app.focus_next", "Next pane"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, symbols: Symbols = "braille") -> None:
        super().__init__()
        self.symbols = symbols
        self.tick = 0
        self.plain = symbols == "ascii"

    def compose(self) -> ComposeResult:
        yield StatusHeader(ascii_only=self.plain)
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield TitledPane(
                    "Top memory", LiveTable(TOP, ascii_only=self.plain), ascii_only=self.plain, id="top"
                )
                yield TitledPane(
                    "Trend", TrendPlot(symbols=self.symbols, zone=UTC), ascii_only=self.plain, id="trend"
                )
            with Vertical(id="right"):
                yield TitledPane(
                    "Restarts",
                    LiveTable(TOP[:4], ascii_only=self.plain),
                    ascii_only=self.plain,
                    id="restarts",
                )
        yield FilterBar(hint="text, !text or label=value")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self.set_class(self.size.width < 110, "narrow")
        self.action_frame()
        self.query_one("#top", TitledPane).describe(
            subtitle="128 containers · by share ▼",
            tabs=["Top memory", "Restarts", "Growth"] if self.size.width < 110 else [],
        )
        self.query_one("#restarts", TitledPane).describe(subtitle="last hour")
        self.query_one(TrendPlot).show(leak(self.symbols))
        self.query("LiveTable").first().focus()

    def action_frame(self) -> None:
        self.tick += 1
        self.query_one("#top LiveTable", LiveTable).show(
            Containers(60, self.symbols, self.tick), sort=("percent", True)
        )
        self.query_one("#restarts LiveTable", LiveTable).show(
            Containers(6, self.symbols), note="2 containers without samples"
        )
        self.query_one(StatusHeader).show(
            HeaderData(
                context="gke_acme-prod_europe-west1_main",
                namespace="production",
                warnings=("read-only", "TLS not verified"),
                counts=(
                    ("pods", 128, "ok"),
                    ("growing", 3, "warn"),
                    ("near limit", 2, "warn"),
                    ("OOM-killed/h", 1, "critical"),
                ),
                sources=(
                    SourceLine("pods", "live", age_seconds=4),
                    SourceLine("metrics", "stale", "no answer: 503", 75),
                    SourceLine("Prometheus", "absent"),
                ),
                clock=f"14:32:{self.tick % 60:02}",
                filter="user-service",
            )
        )

    def action_filter(self) -> None:
        bar = self.query_one(FilterBar)
        bar.add_class("-open")
        bar.open("user")

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        if "[" in event.text:
            self.query_one(FilterBar).problem = "'[' opens a set that is never closed"

    def action_picker(self) -> None:
        names = [
            "production",
            "payments",
            "platform",
            "monitoring",
            "kube-system",
            "default",
            "product-preview",
        ]
        items = [
            PickerItem(n, n, f"{len(n) * 3} pods", "you may not list pods here" if n == "kube-system" else "")
            for n in names
        ]
        self.push_screen(Picker("Namespace", items, current="production"))

    def action_failure(self) -> None:
        self.push_screen(Failure())


if __name__ == "__main__":
    gallery = Gallery(sys.argv[1] if len(sys.argv) > 1 else "braille")  # type: ignore[arg-type]
    if len(sys.argv) > 2:
        gallery.theme = sys.argv[2]
    gallery.run()
