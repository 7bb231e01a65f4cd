"""How fast heap files are read, and in how much memory.

    python benchmarks/heap_files.py [--megabytes 1024] [--paths] [FILE...]

Without a file it writes a heap dump of that size, of objects as services have them (small instances, arrays
of references and of bytes), reads it in a process of its own, and removes it. Prints figures only.
"""

from __future__ import annotations

import argparse
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
SEGMENT = 1 << 20
_FIRST_CLASS = 1000


def write_dump(path: Path, megabytes: int) -> None:
    """Writes a heap dump whose records are 48 bytes in the mean, as that of a JVM with a Map of sessions."""

    def record(tag: int, body: bytes) -> bytes:
        return struct.pack(">BII", tag, 0, len(body)) + body

    with path.open("wb") as file:
        file.write(b"JAVA PROFILE 1.0.2\0" + struct.pack(">IQ", 8, 0))
        classes = b""
        for number in range(500):
            file.write(record(1, struct.pack(">Q", 10 + number) + f"com/example/Type{number}".encode()))
            file.write(record(2, struct.pack(">IQIQ", 1, _FIRST_CLASS + number, 0, 10 + number)))
            classes += struct.pack(">BQIQ", 0x20, _FIRST_CLASS + number, 0, 0) + bytes(40)
            classes += struct.pack(">IHHH", 24, 0, 0, 3) + b"".join(
                struct.pack(">QB", 10, kind) for kind in (2, 2, 11)
            )
        file.write(record(0x1C, classes))
        address = 1 << 32
        while file.tell() < megabytes << 20:
            parts, size = [], 0
            while size < SEGMENT:
                kind = _FIRST_CLASS + address % 499
                parts.append(struct.pack(">BQIQIQQQ", 0x21, address, 0, kind, 24, address + 64, 0, 7))
                parts.append(
                    struct.pack(">BQIIB", 0x23, address + 64, 0, 24, 8) + b"some text of a service !"
                )
                if address % 7 == 0:
                    parts.append(struct.pack(">BQIIQ4Q", 0x22, address + 128, 0, 4, kind, *[address] * 4))
                size += sum(len(one) for one in parts[-2:])
                address += 192
            file.write(record(0x1C, b"".join(parts)))
        file.write(record(0x2C, b""))


def measure(path: Path, *, paths: bool) -> None:
    """Reads a file and prints how long that took and how much memory."""
    from memtop.heap_files.heap_reader import read_heap_file  # noqa: PLC0415  (in the measured process)

    started = time.process_time()
    summary = read_heap_file(path, paths=paths)
    seconds = time.process_time() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = path.stat().st_size / 1e6
    print(
        f"{summary.kind}: {size:,.0f} MB, {summary.total_objects or 0:,} objects in {seconds:.1f} s of CPU: "
        f"{size / seconds:.0f} MB/s, {most:.0f} MiB at most"
    )


def main() -> None:
    """Measures the files, or a dump that is made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--paths", action="store_true")
    options = parser.parse_args()
    if options.files:
        for path in options.files:
            measure(path, paths=options.paths)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.hprof"
        write_dump(path, options.megabytes)
        flags = ["--paths"] if options.paths else []
        subprocess.run([sys.executable, __file__, *flags, str(path)], check=True, env=dict(os.environ))


if __name__ == "__main__":
    main()
