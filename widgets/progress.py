"""How far something is, on one line."""

from __future__ import annotations

from rich.text import Text

from memtop.wording import bytes_, share
from widgets.palette import Symbols
from widgets.text import cut, literal

_BAR = 24


def progress_line(done: int, size: int, width: int, symbols: Symbols) -> Text:
    """Draws bytes that have come as a bar where it is known how many there will be.

    Args:
        done: Bytes so far.
        size: Bytes in all; 0 where that is not known.
        width: Width in cells.
        symbols: Which characters to draw with.

    Returns:
        A text of at most ``width`` cells whose styles are roles (see `widgets.palette`).
    """
    line = Text(no_wrap=True, end="")
    if not size:
        return line.append(cut(f"{bytes_(done)} so far" if done else "", width), "dim")
    ratio = min(1.0, done / size)
    words = f" {share(ratio)}  {bytes_(done)} of {bytes_(size)}"
    cells = min(_BAR, width - len(words) - 2)
    if cells >= 4:
        full, empty = ("=", ".") if symbols == "ascii" else ("█", "░")
        filled = int(cells * ratio)
        line.append(full * filled, "primary").append(empty * (cells - filled), "faint")
    return line.append(cut(literal(words), max(0, width - len(line.plain))))
