"""The programs of a simulated container: those that memtop runs there, and those a person would try."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memtop.demo.container_filesystem import ContainerFiles
from memtop.demo.memory_curves import MIB
from memtop.demo.simulated_heap import class_histogram, go_profile, v8_snapshot

HPROF = b"JAVA PROFILE 1.0.2\0" + (4).to_bytes(4, "big") + bytes(8)
DUMP_BYTES = int(6 * MIB)
FREE_KIB = 41_235_880
_LINE = 78


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """What a program wrote and its exit code."""

    output: bytes = b""
    errors: bytes = b""
    code: int = 0


def text_result(text: str) -> ProgramResult:
    """Return a result with text on stdout."""
    return ProgramResult(text.encode())


def error_result(text: str, code: int = 1) -> ProgramResult:
    """Return a failure with its message."""
    return ProgramResult(errors=f"{text}\n".encode(), code=code)


Applet = Callable[[ContainerFiles, Sequence[str], bytes], ProgramResult]


def cat(files: ContainerFiles, words: Sequence[str], typed: bytes) -> ProgramResult:
    """Write files one after the other."""
    return _through(files, "cat", [word for word in words if word != "-"], typed, lambda data: data)


def head(files: ContainerFiles, words: Sequence[str], typed: bytes) -> ProgramResult:
    """Write the beginning: `-c BYTES`, `-n LINES`."""
    options, names = _split(words, "cn")
    if "c" in options:
        most = int(options["c"])
        return _through(files, "head", names, typed, lambda data: data[:most], titles=len(names) > 1)
    lines = int(options.get("n", "10"))

    def first(data: bytes) -> bytes:
        return b"".join(data.splitlines(keepends=True)[:lines])

    return _through(files, "head", names, typed, first, titles=len(names) > 1)


def tail(files: ContainerFiles, words: Sequence[str], typed: bytes) -> ProgramResult:
    """Write the end: `-c +FROM`, `-n LINES`."""
    options, names = _split(words, "cn")
    if "c" in options:
        start = options["c"]
        if start.startswith("+"):
            return _through(files, "tail", names, typed, lambda data: data[max(0, int(start) - 1) :])
        return _through(files, "tail", names, typed, lambda data: data[-int(start) :])
    lines = int(options.get("n", "10"))
    return _through(
        files, "tail", names, typed, lambda data: b"".join(data.splitlines(keepends=True)[-lines:])
    )


def compress(_files: ContainerFiles, _words: Sequence[str], typed: bytes) -> ProgramResult:
    """Compress stdin (`gzip`)."""
    return ProgramResult(gzip.compress(typed, 1, mtime=0))


def count(files: ContainerFiles, words: Sequence[str], typed: bytes) -> ProgramResult:
    """Count bytes (`-c`) or lines (`-l`)."""
    names = [word for word in words if not word.startswith("-")]
    data = files.read(names[0]) if names else typed
    if data is None:
        return error_result(f"wc: {names[0]}: No such file or directory")
    return text_result(f"{len(data) if '-c' in words else data.count(10)}\n")


def checksum(files: ContainerFiles, words: Sequence[str], _typed: bytes) -> ProgramResult:
    """Write SHA-256 checksums."""
    lines = []
    for name in words:
        data = files.read(name)
        if data is None:
            return error_result(f"sha256sum: can't open '{name}': No such file or directory")
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    return text_result("".join(lines))


def remove(files: ContainerFiles, words: Sequence[str], _typed: bytes) -> ProgramResult:
    """Delete files that were written."""
    for name in words:
        if name.startswith("-"):
            continue
        if files.written.pop(name, None) is None and "-f" not in words:
            return error_result(f"rm: can't remove '{name}': No such file or directory")
    return ProgramResult()


def list_files(files: ContainerFiles, words: Sequence[str], _typed: bytes) -> ProgramResult:
    """List files; `-l` with size or link target."""
    long = any(word.startswith("-") and ("l" in word or "n" in word) for word in words)
    names = [word for word in words if not word.startswith("-")]
    if not names or names == ["/"]:
        return text_result("app\nbin\netc\nproc\nsys\ntmp\n")
    folder = f"{names[0].rstrip('/')}/"
    if len(names) == 1 and files.read(names[0]) is None:
        inside = [name for name in files.written if name.startswith(folder)]
        if not inside and folder not in ("/tmp/", "/app/"):
            return error_result(f"ls: {names[0]}: No such file or directory")
        names = inside
    lines = []
    for name in names:
        data = files.read(name)
        if data is None:
            continue
        target = files.link(name)
        arrow = f" -> {target}" if target else ""
        kind = "lrwxrwxrwx" if target else "-rw-r--r--"
        lines.append(
            f"{kind}    1 0        0        {len(data):9} Jan  1 00:00 {name}{arrow}" if long else name
        )
    return text_result("".join(f"{line}\n" for line in lines))


def find_pattern(files: ContainerFiles, words: Sequence[str], typed: bytes) -> ProgramResult:
    """Find a pattern: `-o` its matches, `-l` the files that have one."""
    flags = "".join(word[1:] for word in words if word.startswith("-"))
    plain = [word for word in words if not word.startswith("-")]
    if not plain:
        return error_result("grep: a pattern is needed", 2)
    pattern = re.compile(plain[0], re.IGNORECASE if "i" in flags else 0)
    found = []
    for name in plain[1:] or ["(standard input)"]:
        data = typed if not plain[1:] else _searched(files, name)
        title = f"{name}:" if len(plain) > 2 else ""
        for line in (data or b"").decode("utf-8", "replace").splitlines():
            if (match := pattern.search(line)) is None:
                continue
            found.append(name if "l" in flags else f"{title}{match[0] if 'o' in flags else line}")
            if "l" in flags:
                break
    return ProgramResult("".join(f"{line}\n" for line in found).encode(), code=0 if found else 1)


def disk_space(_files: ContainerFiles, words: Sequence[str], _typed: bytes) -> ProgramResult:
    """Print the free disk space (`df`)."""
    head_ = "Filesystem           1024-blocks    Used Available Capacity Mounted on\n"
    names = [word for word in words if not word.startswith("-")] or ["/"]
    return text_result(head_ + f"overlay              103081248 56609016 {FREE_KIB}  58% /\n" * len(names))


def list_processes(files: ContainerFiles, _words: Sequence[str], _typed: bytes) -> ProgramResult:
    """List the processes."""
    lines = [f"{pid:5} root      {' '.join(words)[:_LINE]}" for pid, words in files.commands().items()]
    return text_result("\n".join(["  PID USER     COMMAND", *lines, ""]))


def kill(files: ContainerFiles, words: Sequence[str], _typed: bytes) -> ProgramResult:
    """Signal process 1: only Node.js reacts, to USR2, with a heap snapshot."""
    wanted = "--heapsnapshot-signal=SIGUSR2" in files.program.command
    if words[-1:] == ["1"] and "-USR2" in words and wanted:
        name = f"/Heap.20250101.000000.1.0.{len(files.written) + 1:03}.heapsnapshot"
        files.written[name] = v8_snapshot(files)
    return ProgramResult()


def jcmd(files: ContainerFiles, words: Sequence[str], _typed: bytes) -> ProgramResult:
    """Emulate jcmd: `GC.heap_dump FILE`, `GC.class_histogram`, `GC.heap_info`."""
    plain = [word for word in words if not word.startswith("-J")]
    if plain[:1] in ([], ["-l"]):
        return text_result(f"1 /app/{files.container.name}.jar\n")
    if plain[0] != "1":
        return error_result(f"{plain[0]}: no such process")
    request = plain[1] if len(plain) > 1 else "help"
    heap = int(files.working_set() * 0.8)
    if request == "GC.heap_dump" and len(plain) > 2:
        if plain[2] in files.written:
            return text_result(
                f"1:\nDumping heap to {plain[2]} ...\nUnable to create {plain[2]}: File exists\n"
            )
        files.written[plain[2]] = heap_dump(files.run.seed)
        size = len(files.written[plain[2]])
        return text_result(
            f"1:\nDumping heap to {plain[2]} ...\nHeap dump file created [{size} bytes in 0.412 secs]\n"
        )
    if request == "GC.class_histogram":
        return text_result(class_histogram(files))
    return text_result(f"1:\n garbage-first heap   total {heap // 1024}K, used {int(heap * 0.9) // 1024}K\n")


def jmap(files: ContainerFiles, words: Sequence[str], typed: bytes) -> ProgramResult:
    """Dump the heap: `-dump:live,format=b,file=FILE 1`."""
    target = next((word.rpartition("file=")[2] for word in words if word.startswith("-dump")), "")
    return (
        jcmd(files, ["1", "GC.heap_dump", target], typed) if target else error_result("jmap: -dump is needed")
    )


def wget(files: ContainerFiles, words: Sequence[str], _typed: bytes) -> ProgramResult:
    """Fetch a Go program's heap profile from the one port it listens on."""
    url = next((word for word in words if word.startswith("http")), "")
    if not files.program.go or f":{files.program.port}/debug/pprof/heap" not in url:
        return error_result("wget: server returned error: HTTP/1.1 404 Not Found")
    return ProgramResult(gzip.compress(go_profile(files), mtime=0))


def heap_dump(seed: int) -> bytes:
    """Return a made-up file with the header of a heap dump."""
    made = random.Random(seed)
    block = b"".join(bytes([made.randrange(256)]) * made.randrange(1, 9) for _ in range(60_000))
    rest = DUMP_BYTES - len(HPROF)
    return HPROF + (block * (rest // len(block) + 1))[:rest]


APPLETS: dict[str, Applet] = {
    "cat": cat,
    "df": disk_space,
    "grep": find_pattern,
    "gzip": compress,
    "head": head,
    "kill": kill,
    "ls": list_files,
    "ps": list_processes,
    "rm": remove,
    "sha256sum": checksum,
    "tail": tail,
    "wc": count,
    "wget": wget,
}
"""The programs of every image with a shell."""
TOOLS: dict[str, Applet] = {"jcmd": jcmd, "jmap": jmap}
"""The programs of some images."""


def _through(
    files: ContainerFiles,
    program: str,
    names: Sequence[str],
    typed: bytes,
    part: Callable[[bytes], bytes],
    *,
    titles: bool = False,
) -> ProgramResult:
    """Write a part of each file, or of stdin."""
    if not names:
        return ProgramResult(part(typed))
    output, errors = b"", b""
    for name in names:
        data = files.read(name)
        if data is None:
            errors += f"{program}: can't open '{name}': No such file or directory\n".encode()
            continue
        output += (f"==> {name} <==\n".encode() if titles else b"") + part(data) + (b"\n" if titles else b"")
    return ProgramResult(output, errors, 1 if errors else 0)


def _searched(files: ContainerFiles, name: str) -> bytes | None:
    """A file's content; a Go program's own file has the mark that Go puts there."""
    if name == "/proc/1/exe" and files.program.go:
        return b"\xff Go buildinf:"
    return files.read(name)


def _split(words: Sequence[str], takes: str) -> tuple[dict[str, str], list[str]]:
    """Options with a value, and the rest."""
    options: dict[str, str] = {}
    rest: list[str] = []
    pending = ""
    for word in words:
        if pending:
            options[pending], pending = word, ""
        elif len(word) > 1 and word[0] == "-" and word[1] in takes:
            if len(word) > 2:
                options[word[1]] = word[2:]
            else:
                pending = word[1]
        else:
            rest.append(word)
    return options, rest
