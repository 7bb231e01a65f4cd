"""The manual says what the program does: generated pages, commands, links, and the JSON's schema."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest

from config import invocation as command_line
from docs.generated import FOLDER, once_schema, stale_pages
from memtop.commands.frame_schema import OnceDocument
from memtop.commands.once import run_once
from memtop.demo.thread import DemoThread

ROOT = FOLDER.parent
PAGES = [*sorted(FOLDER.glob("*.md")), ROOT / "README.md"]
_COMMAND = re.compile(r"^    (memtop(?: .*)?)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_no_generated_page_is_stale() -> None:
    assert list(stale_pages()) == [], "run: python -m docs.generated"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    for line in _COMMAND.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(line.partition(" #")[0])[1:]
        if words and "|" not in line:
            command_line.parse([one.rstrip(",") for one in words], {"HOME": "/nonexistent"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_that_is_there(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


def test_the_manual_has_every_page_in_its_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in FOLDER.glob("*.md") if f": {page.name}" not in contents] == []


def test_the_json_is_what_its_schema_says(tmp_path: Path) -> None:
    with DemoThread(pods=10) as demo:
        path = tmp_path / "kubeconfig"
        path.write_text(demo.kubeconfig())
        words = ["--once", "-o", "json", "--no-prometheus", "--no-keep-history", "--kubeconfig", str(path)]
        out = io.StringIO()
        assert run_once(command_line.parse(words, {"HOME": str(tmp_path)}), out, io.StringIO()) == 0
    read = msgspec.json.decode(out.getvalue(), type=OnceDocument)
    assert read.containers
    fields = json.loads(out.getvalue())["containers"][0].keys()
    assert once_schema()["$defs"]["ContainerDocument"]["properties"].keys() == fields
