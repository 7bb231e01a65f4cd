"""What applications say of their own heap: ``Heap usage: 1.8GB / 2GB (90%)``, ``Full GC took 5.2s``."""

from __future__ import annotations

import re

from memtop.logs.values.reading import Kind, Reading, amount

_AMOUNT = r"(\d+(?:\.\d+)?) ?([KMGT]i?B?|B|bytes)"
_VALUE = r"[\"']?(?: is)?[ =:]+[\"']?(\d+(?:\.\d+)?) ?([KMGT]i?B?|B|bytes)?(?![\w.])"
_OF = re.compile(
    rf"\b(?:heap|memory|mem)\b[^\d/]{{0,24}}{_AMOUNT} ?(?:/|of|out of) ?{_AMOUNT}(?![\w/])"
    r"(?: ?\((\d+(?:\.\d+)?) ?%\))?",
    re.IGNORECASE,
)
_SHARE = re.compile(r"\bheap (?:usage|used|at)\b[^\d]{0,8}(\d+(?:\.\d+)?) ?%", re.IGNORECASE)
_USED = re.compile(
    r"\bheap_?(?:used|alloc|in_?use)\b" + _VALUE,
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"\bheap_?(?:total|sys|max|limit)\b" + _VALUE,
    re.IGNORECASE,
)
_TOOK = re.compile(
    r"\b(full|young|minor|major|mixed)? ?GC (?:took|pause:?|in) (\d+(?:\.\d+)?) ?(ms|s)\b", re.IGNORECASE
)
_PAUSE = re.compile(
    r"\bPause (Young|Full)\b.*? (\d+)([KMG])->(\d+)([KMG])(?:\((\d+)([KMG])\))? (\d+(?:\.\d+)?)ms",
    re.IGNORECASE,
)


def read(text: str) -> Reading | None:
    """Reads a line that an application wrote of itself."""
    if "%" in text or "/" in text or " of " in text:
        if (found := _OF.search(text)) is not None:
            used, unit_used, total, unit_total, share = found.groups()
            return Reading(
                Kind.USAGE,
                _bytes(used, unit_used),
                heap_total=_bytes(total, unit_total),
                share=None if share is None else float(share) / 100,
            )
        if (found := _SHARE.search(text)) is not None:
            return Reading(Kind.USAGE, share=float(found.group(1)) / 100)
    if "GC " in text and (found := _TOOK.search(text)) is not None:
        which, number, unit = found.groups()
        kind = Kind.FULL if (which or "").lower() in {"full", "major"} else Kind.YOUNG
        return Reading(kind, pause_seconds=float(number) / (1000 if unit == "ms" else 1))
    if "ause" in text and (found := _PAUSE.search(text)) is not None:
        which, before, unit_before, after, unit_after, total, unit_total, pause = found.groups()
        return Reading(
            Kind.FULL if which.lower() == "full" else Kind.YOUNG,
            amount(after, unit_after),
            amount(before, unit_before),
            amount(total, unit_total) if total else None,
            float(pause) / 1000,
        )
    if (found := _USED.search(text)) is not None:
        whole = _TOTAL.search(text)
        return Reading(
            Kind.USAGE, _bytes(*found.groups()), heap_total=None if whole is None else _bytes(*whole.groups())
        )
    return None


def _bytes(number: str, unit: str | None) -> float:
    return amount(number, "" if unit is None or unit.lower() == "bytes" else unit)
