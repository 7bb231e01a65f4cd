"""Other people's text made safe for a terminal: no escapes, no control characters, no bidi overrides.

Logs, events, labels and error messages are other people's bytes. All text for a screen passes through here
once, where it enters memtop; no later step has to check it again.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"""
      (?: \x1b\] | \x9d ) [^\x07\x1b\x9c\n]* (?: \x07 | \x1b\\ | \x9c )?           # OSC: titles, hyperlinks
    | (?: \x1b[PX^_] | [\x90\x98\x9e\x9f] ) [^\x1b\x9c\n]* (?: \x1b\\ | \x9c )?    # DCS, SOS, PM, APC
    | (?: \x1b\[ | \x9b ) [0-?]* [ -/]* [@-~]?                                     # CSI: colours, cursor
    | \x1b [ -/]* [0-~]?                                                           # the other sequences
    """,
    re.VERBOSE,
)

# C0 and C1 controls but tab and newline; zero-width and line separators a terminal may mishandle; the bidi
# marks, embeddings, overrides and isolates that can make text read as something else; lone surrogates.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
# Marks that stand above and below the letter before them. Four are more than any language needs (Vietnamese
# takes two, Hebrew with cantillation three); sixty of them cover the lines around.
_MARK = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_MARKS = re.compile(f"({_MARK}{{4}}){_MARK}+")


def sanitize_text(value: str) -> str:
    """Other people's text without terminal escapes and control characters; tabs and newlines stay.

    A whole escape sequence goes, not only its first byte, so that no ``[31m`` is left behind. A carriage
    return that is not part of a line end becomes a newline, since it would overwrite what stands before it.
    Of the marks on one letter four stay.
    """
    if value.isascii() and value.isprintable():  # nearly always
        return value
    value = value.replace("\r\n", "\n")
    value = _UNWANTED.sub("", _ESCAPES.sub("", value).replace("\r", "\n"))
    return value if value.isascii() else _MARKS.sub(r"\1", value)


def sanitize(value: str) -> str:
    """Like `sanitize_text`, on one line: newlines and tabs become spaces. For names and messages."""
    if value.isascii() and value.isprintable():
        return value
    return sanitize_text(value).replace("\n", " ").replace("\t", " ").strip()


def sanitize_bytes(value: bytes) -> str:
    """Other people's bytes as clean text; what is not UTF-8 becomes U+FFFD."""
    return sanitize_text(value.decode("utf-8", "replace"))
