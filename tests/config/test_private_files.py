"""Every file that memtop makes is its owner's alone, exclusive where it is new, and never beyond a link."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.private_files import give_name, open_new, open_own, private_folder, replace_file

ROOT = Path(__file__).parents[2]
MAKERS = {"touch", "mkdir", "write_text", "write_bytes", "makedirs", "mkstemp"}
ALLOWED = {
    "config/private_files.py",
    "memtop/kube/connection_target.py",  # in memory, or a temporary file
    "memtop/demo/child_process.py",  # within a temporary folder of its own
    "tui/cli.py",  # opens /dev/null
    "widgets/terminal_driver.py",  # opens the terminal it was started on
}


@pytest.fixture(params=[0o000, 0o022, 0o377], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """An open, a usual and an absurd umask."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def made(path: Path) -> None:
    os.close(open_new(path))


def opened(path: Path) -> None:
    with os.fdopen(open_own(path), "ab") as file:
        file.write(b"heap")


def replaced(path: Path) -> None:
    replace_file(path, b"heap")


@pytest.mark.parametrize("make", [made, opened, replaced])
def test_a_file_is_its_owners_alone(make: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    private_folder(folder)
    make(folder / "file")
    assert [mode(folder / "file"), mode(folder), mode(folder.parent)] == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("make", [made, opened, replaced])
@pytest.mark.parametrize("there", [True, False])
def test_nothing_goes_through_a_planted_link(
    make: Callable[[Path], None], there: bool, tmp_path: Path
) -> None:
    public, link = tmp_path / "public", tmp_path / "link"
    if there:
        public.write_bytes(b"theirs")
        public.chmod(0o644)
    link.symlink_to(public)
    if make is replaced:
        make(link)
        assert not link.is_symlink()
    else:
        with pytest.raises(OSError, match=r"links|exists"):
            make(link)
    assert public.exists() is there
    assert not there or public.read_bytes() == b"theirs"


def test_a_hard_link_and_a_pipe_are_refused(tmp_path: Path) -> None:
    public, link, pipe = tmp_path / "public", tmp_path / "link", tmp_path / "pipe"
    os.close(open_new(public))
    link.hardlink_to(public)
    os.mkfifo(pipe, 0o600)
    pipe.chmod(0o600)
    for path in (link, pipe):
        with pytest.raises(PermissionError, match="not a file of your own"):
            open_own(path)


def test_what_others_could_read_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old ")
    path.chmod(0o644)
    opened(path)
    assert (mode(path), path.read_bytes()) == (0o600, b"old heap")


def test_a_new_file_replaces_none_and_a_name_is_given_once(tmp_path: Path) -> None:
    path, draft = tmp_path / "file", tmp_path / "draft"
    replaced(path)
    replaced(draft)
    with pytest.raises(FileExistsError):
        open_new(path)
    with pytest.raises(FileExistsError):
        give_name(draft, path)
    give_name(draft, tmp_path / "other")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "other"]


def test_a_failed_rewrite_keeps_the_old_content_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replaced(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"heap"]


def test_nothing_else_in_memtop_makes_files() -> None:
    found = set()
    for package in ("config", "memtop", "tui", "widgets"):
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            simulated = name.startswith(
                "memtop/demo/"
            )  # its objects are touched, and it has shells with files
            if name not in ALLOWED and _makes_files(
                path, MAKERS - {"touch", "mkdir"} if simulated else MAKERS
            ):
                found.add(name)
    assert not found


def _makes_files(path: Path, makers: set[str]) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        modes = [one.value for one in node.args if isinstance(one, ast.Constant)]
        if called in makers or (called == "open" and {"w", "wb", "a", "ab", "x", "xb", "w+b"} & {*modes}):
            return True
        of = node.func.value if isinstance(node.func, ast.Attribute) else None
        if called == "open" and isinstance(of, ast.Name) and of.id == "os":
            return True
    return False
