"""The pages of the manual that are made from the program: keys, settings, commands, JSON Schema, figures.

``python -m docs.generated`` writes them; a test compares them, so that no page says what the program no
longer does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from config.commands import COMMANDS
from config.help_and_completion import help_text
from config.options import markdown_table
from memtop.commands.frame_schema import once_schema
from tui.keys import ALERTS_HELP, OVERVIEW_GROUPS, ROLLOUT_HELP, STABILISATION_HELP, TIMELINE_HELP
from tui.live_screen import KeyGroup
from tui.pod.screen import POD_HELP

FOLDER = Path(__file__).parent
_MADE = "<!-- made by `make docs` from the program: change it there -->\n"


def pages() -> dict[str, str]:
    """The text of every generated file by its name."""
    return {
        "keys.md": keys_page(),
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "figures.md": figures_page(),
        "once.schema.json": json.dumps(once_schema(), indent=2, ensure_ascii=False) + "\n",
    }


def keys_page() -> str:
    """Every screen and its keys, in the words of its help."""
    screens: tuple[tuple[str, tuple[KeyGroup, ...]], ...] = (
        ("The overview", OVERVIEW_GROUPS),
        ("A pod or a workload", POD_HELP),
        ("A rollout", ROLLOUT_HELP),
        ("Did it help?", STABILISATION_HELP),
        ("Since when?", TIMELINE_HELP),
        ("Alert rules", ALERTS_HELP),
    )
    lines = [
        _MADE,
        "# Screens and keys\n",
        "`?` shows these on each screen; what cannot be done now is dim.\n",
    ]
    for title, groups in screens:
        lines += [f"## {title}\n"]
        for group in groups:
            lines += [f"### {group.title}\n", "| Key | What it does |", "|---|---|"]
            lines += [f"| {_code(key.keys)} | {_cell(key.description)} |" for key in group.keys]
            lines.append("")
    return "\n".join(lines)


def settings_page() -> str:
    """Every setting, from its own description."""
    return (
        f"{_MADE}\n# Settings\n\nEach can be a flag, a variable, or a key in `config.toml` in the platform's "
        "configuration folder (`~/.config/memtop/` on Linux); a flag beats a variable, a variable beats the "
        f"file. `memtop config` shows what is in force and where it comes from.\n\n{markdown_table()}\n"
    )


def commands_page() -> str:
    """Every command with its help."""
    parts = [_MADE, "# Commands\n", f"```text\n{help_text().strip()}\n```\n"]
    for command in COMMANDS:
        if command.typed:
            parts += [f"## memtop {command.name}\n", f"```text\n{help_text(command.name).strip()}\n```\n"]
    return "\n".join(parts)


def figures_page() -> str:
    """How often verdicts are right: the figures of ``benchmarks/README.md``."""
    measured = (FOLDER.parent / "benchmarks" / "README.md").read_text(encoding="utf-8")
    verdicts = measured[measured.index("## Verdicts") : measured.index("## Logs")]
    held = measured[measured.index("## Did the fix hold?") : measured.index("## Would the tests notice")]
    return f"{_MADE}\n# How good the verdicts are\n\n{verdicts.strip()}\n\n{held.strip()}\n"


def _code(keys: str) -> str:
    """Each key by itself, and words of a screen that are explained like keys as a whole."""
    codes: list[str] = []
    for part in re.split(" {2,}", keys):
        ones = part.split()
        codes += ones if all(len(one) == 1 or "+" in one for one in ones) else [part]
    return " ".join(f"`{_cell(one)}`" for one in codes)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;")


def stale_pages() -> Iterator[str]:
    """Names of the generated files that are not what they should be."""
    for name, text in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield name


def main() -> None:
    """Writes what is stale."""
    for name in list(stale_pages()):
        (FOLDER / name).write_text(pages()[name], encoding="utf-8")


if __name__ == "__main__":
    main()
