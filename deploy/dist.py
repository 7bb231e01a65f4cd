"""Builds what a release consists of, into a folder: one file that runs, and what installs it.

The zipapp holds memtop and all it needs; it is made by shiv, which unpacks it once into a folder of its
own (`~/.shiv`, or `$SHIV_ROOT`), so that the packages `tui`, `widgets` and `config` are seen by memtop alone.
Packages with compiled parts are put into it for each Python of `PYTHONS` for which wheels of this platform
are to be had.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from string import Template

from config.commands import COMMANDS, CommandFlag
from config.help_and_completion import completion_script
from config.options import options
from memtop import __version__

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
HERE = Path(__file__).parent
PREAMBLE = """\
import sys
if "{major}.{minor}".format(major=sys.version_info[0], minor=sys.version_info[1]) not in PYTHONS:
    sys.exit("memtop: this file runs on Python " + ", ".join(PYTHONS) + "; this is " + sys.version.split()[0])
"""
_KREW_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def build_zipapp(into: Path, constraints: Path) -> Path:
    """Makes the zipapp of the Pythons for which every package is to be had.

    Raises:
        SystemExit: There is no Python for which it can be made.
    """
    with tempfile.TemporaryDirectory() as scratch:
        site, wheels = Path(scratch) / "site", Path(scratch) / "wheels"
        _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), ".")
        (wheel,) = wheels.glob("*.whl")
        served = [
            version for version in PYTHONS if _install(wheel, version, site, constraints, Path(scratch))
        ]
        if not served:
            raise SystemExit("no Python has all the packages of memtop as wheels for this platform")
        preamble = Path(scratch) / "preamble.py"
        preamble.write_text(f"PYTHONS = {served!r}\n{PREAMBLE}")
        made = into / f"memtop-{__version__}-{sys.platform}-{platform.machine()}.pyz"
        _run(
            *(sys.executable, "-m", "shiv", "--site-packages", str(site), "--console-script", "memtop"),
            *("--python", "/usr/bin/env python3", "--preamble", str(preamble), "--reproducible"),
            *("--compressed", "--output-file", str(made)),
        )
    print(f"{made.name}: Python {', '.join(served)}; {made.stat().st_size / 2**20:.1f} MiB")
    return made


def _install(wheel: Path, version: str, site: Path, constraints: Path, scratch: Path) -> bool:
    """Installs memtop for one Python beside what is there for others; whether all wheels were to be had."""
    alone = scratch / version
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(alone), str(wheel)),
            *("--python-version", version, "--only-binary", ":all:", "--constraint", str(constraints)),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:]
        print(f"not for Python {version}: {''.join(why) or 'pip failed'}")
        return False
    shutil.copytree(alone, site, dirs_exist_ok=True)
    return True


def pack(zipapp: Path) -> Path:
    """The archive that krew and Homebrew take: the zipapp as a plugin of kubectl, licence and man page."""
    archive = zipapp.with_suffix(".tar.gz")
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(zipapp, "kubectl-memtop")
        for path in (HERE.parent / "LICENSE", zipapp.with_name("memtop.1")):
            packed.add(path, path.name)
    return archive


def manifests(into: Path, url: str) -> Iterator[tuple[str, str]]:
    """The krew manifest and the Homebrew formula for the archives that are there, by file name."""
    krew, brew = [], []
    for archive in sorted(into.glob("memtop-*.tar.gz")):
        system, machine = archive.name.removesuffix(".tar.gz").split("-")[-2:]
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        found = {
            "url": f"{url}/{archive.name}",
            "sha256": digest,
            "system": system,
            "arch": _KREW_NAMES.get(machine, machine),
        }
        krew.append(Template((HERE / "krew-platform.yaml.in").read_text()).substitute(found))
        brew.append(Template(_BREW_PLATFORM).substitute(found, on="macos" if system == "darwin" else "linux"))
    whole = {"version": __version__, "home": url.partition("/releases")[0]}
    krew_text, brew_text = (HERE / "krew.yaml.in").read_text(), (HERE / "memtop.rb.in").read_text()
    yield "krew.yaml", Template(krew_text).substitute(whole, platforms="".join(krew))
    yield "memtop.rb", Template(brew_text).substitute(whole, platforms="".join(brew))


_BREW_PLATFORM = """\
  on_$on do
    if Hardware::CPU.$arch?
      url "$url"
      sha256 "$sha256"
    end
  end
"""


def man_page() -> str:
    """The manual page, in the man macros of troff, from the tables that the help is made from."""
    lines = [
        f'.TH MEMTOP 1 "" "memtop {__version__}" "User commands"',
        ".SH NAME",
        r"memtop \- find, fix and watch memory incidents in Kubernetes",
        ".SH SYNOPSIS",
        ".B memtop",
        "[COMMAND] [FLAGS]",
        ".SH DESCRIPTION",
        "Without a command, a screen that shows what holds memory, restarts and grows, with a verdict",
        "for each container. The key",
        ".B ?",
        "on it shows the others.",
        ".SH COMMANDS",
    ]
    for command in COMMANDS:
        if command.typed:
            lines += [
                ".TP",
                f".B {_roff(f'{command.name} {command.arguments}'.rstrip())}",
                _roff(command.summary),
            ]
            lines += [f".br\n{_flag(flag)} {_roff(flag.help)}" for flag in command.flags]
    lines.append(".SH SETTINGS")
    for option in options():
        lines += [".TP", f".B {_roff(option.variable)}", _roff(f"{option.help} In the file: {option.key}.")]
    lines += [
        ".SH EXIT STATUS",
        "0: done. 1: it failed, or the change is still leaking. 2: a mistake in the command or the settings.",
        "3: the time was up before it was known.",
    ]
    return "\n".join([*lines, ""])


def _flag(flag: CommandFlag) -> str:
    return rf"\fB{_roff(flag.name)}\fR {_roff(flag.metavar)}".rstrip() + ":"


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def main() -> None:
    """Builds all of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", type=Path, default=Path("dist"))
    parser.add_argument("--constraints", type=Path, default=HERE.parent / "constraints.txt")
    parser.add_argument("--url", default="", help="where the archives of the release will be")
    chosen = parser.parse_args()
    chosen.into.mkdir(parents=True, exist_ok=True)
    (chosen.into / "memtop.1").write_text(man_page())
    for shell in ("bash", "zsh", "fish"):
        (chosen.into / f"memtop.{shell}").write_text(completion_script(shell))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:  # pip takes hashes for all packages or none
        kept = (
            line for line in chosen.constraints.read_text().splitlines() if not line.lstrip().startswith("--")
        )
        pins.write("\n".join(line.removesuffix(" \\") for line in kept))
        pins.flush()
        pack(build_zipapp(chosen.into, Path(pins.name)))
    if chosen.url:
        for name, text in manifests(chosen.into, chosen.url.rstrip("/")):
            (chosen.into / name).write_text(text)
    else:
        print(
            "no --url: krew manifest and Homebrew formula are left out, for they name where the archives are"
        )
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
        for path in sorted(chosen.into.iterdir())
        if path.suffix in {".pyz", ".gz", ".whl"}
    ]
    (chosen.into / "SHA256SUMS").write_text("\n".join([*sums, ""]))


if __name__ == "__main__":
    main()
