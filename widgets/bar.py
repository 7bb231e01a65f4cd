"""How full something is, as a bar with its two thresholds marked."""

from __future__ import annotations

import math

from rich.text import Text

from widgets.palette import Level, Symbols

_EIGHTHS = " ▏▎▍▌▋▊▉"
NO_LIMIT = "no limit"


def level(ratio: float | None, warn: float, critical: float) -> Level:
    """Judges a ratio against two thresholds (all of them shares, 0.7 for 70 %); reaching one counts.

    ``None`` and values that are not finite are ``"unknown"``, never ``"ok"``.
    """
    if ratio is None or not math.isfinite(ratio):
        return "unknown"
    if ratio >= critical:
        return "critical"
    return "warn" if ratio >= warn else "ok"


def usage_bar(ratio: float | None, width: int, warn: float, critical: float, symbols: Symbols) -> Text:
    """Draws ``ratio`` as a bar of ``width`` cells.

    The thresholds stay visible as marks in the empty part. Without colour the levels still differ: the filled
    part turns from ``█`` to ``▓`` at the warning threshold and ends in ``!`` from the critical one; in ASCII
    it is made of ``=``, ``#`` and ``!``.

    Args:
        ratio: The share of the limit in use; ``None`` where there is no limit.
        width: Width in cells.
        warn: The first threshold, a share such as 0.7.
        critical: The second threshold, a share such as 0.9.
        symbols: Which characters to draw with.

    Returns:
        A text of exactly ``width`` cells whose styles are roles (see `widgets.palette`).
    """
    judged = level(ratio, warn, critical)
    if ratio is None or judged == "unknown":
        return Text(NO_LIMIT[:width].ljust(width), style="dim")
    ascii_ = symbols == "ascii"
    inner = max(1, width - 2) if ascii_ else width
    filled, end = _filled(min(max(ratio, 0.0), 1.0), inner, judged, ascii_)
    marks = {int(inner * threshold) for threshold in (warn, critical)}
    mark, empty = ("|", ".") if ascii_ else ("┊", "·")
    rest = "".join(mark if cell in marks else empty for cell in range(len(filled) + len(end), inner))
    bar = Text(no_wrap=True, end="")
    if ascii_:
        bar.append("[", "dim")
    bar.append(filled + end, "calm" if judged == "ok" else judged)  # colour is for what needs attention
    bar.append(rest, "faint")
    if ascii_:
        bar.append("]", "dim")
    return bar[:width]


def _filled(ratio: float, width: int, judged: Level, ascii_: bool) -> tuple[str, str]:
    """Returns the filled part of a bar of ``width`` cells and the cell it ends in."""
    if ascii_:
        cells = round(ratio * width)
        body = {"ok": "=", "warn": "#", "critical": "#"}[judged] * cells
        return (body[:-1], "!") if judged == "critical" and body else (body, "")
    if judged == "ok":
        eighths = round(ratio * width * 8)
        return "█" * (eighths // 8), _EIGHTHS[eighths % 8].strip()
    body = "▓" * round(ratio * width)
    return (body[:-1], "!") if judged == "critical" and body else (body, "")
