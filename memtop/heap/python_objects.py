"""Counts the objects of a running Python program by type: by ``sys.remote_exec``, or by an agreed signal.

Python has no tool that does so from outside. The program itself runs a few lines: it writes how many objects
of each type its collector knows, their sizes, and what keeps those of the largest types, as names of
variables and types. No value is written. A debugger that calls into a running Python is not used: at a wrong
moment it hangs the program.
"""

from __future__ import annotations

from collections.abc import Iterator

from memtop.heap.capture_methods import CaptureMeans, CaptureMethod, HeapCapture
from memtop.heap.runtime_detection import RuntimeProgram
from memtop.quantity import parse_whole

MIB = 1024 * 1024
REMOTE_EXEC_SINCE = (3, 14)
"""Python has ``sys.remote_exec`` since this version (PEP 768)."""
WAIT_SECONDS = 60
"""Seconds that the program may take until it runs the lines, and to run them."""
SIGNAL_VARIABLE = "MEMTOP_COUNT_SIGNAL"
"""Names the signal at which a program counts its objects, ``USR2`` for example; without it none is sent."""
COUNTING_FILE = "/tmp/memtop-count.py"
LINE_TO_ADD = (
    "import runpy, signal; signal.signal(signal.SIGUSR2, lambda *_: runpy.run_path('/tmp/memtop-count.py'))"
)
"""What makes a program count, in its own code; memtop writes the file before it sends the signal."""
_SIGNALS = {"USR1": 10, "USR2": 12, "PROF": 27}

COUNTING_CODE = """
def _memtop_count(path):
    import gc, os, sys
    found, objects = {}, gc.get_objects()
    for one in objects:
        row = found.setdefault(type(one), [0, 0, None])
        row[0] += sys.getsizeof(one, 0)
        row[1] += 1
        row[2] = one
    rows = sorted(found.items(), key=lambda item: -item[1][0])
    modules = {id(vars(m)): n for n, m in list(sys.modules.items()) if hasattr(m, "__dict__")}
    ours = {id(objects), id(found), id(rows)} | {id(row) for row in found.values()}
    def name_of(kind):
        return "%s.%s" % (kind.__module__, kind.__qualname__)
    def key_of(home, wanted):  # a function of its own, since its cell would hold the object
        return next((k for k, v in list(home.items()) if v is wanted), "?")
    def holders(one):
        names, chain, first = [], set(), name_of(type(one))
        for _ in range(5):
            chain.add(id(one))
            held = [h for h in gc.get_referrers(one) if id(h) not in ours]
            code = any(type(h).__name__ in ("frame", "cell") for h in held)
            fit = [h for h in held if type(h).__name__ not in ("frame", "cell") and id(h) not in chain]
            home = next((h for h in fit if id(h) in modules), None)
            if home is not None:
                return ["%s.%s" % (modules[id(home)], key_of(home, one))] + names[1:]
            if not fit:
                cycle = not code and any(id(h) in chain for h in held)
                return [first] + names if cycle else names
            one = fit[0]
            names.insert(0, name_of(type(one)))
        return names
    with open(path + ".part", "w") as file:
        file.write("memtop object counts\\n")
        told = 0
        for kind, (size, count, one) in rows:
            kept = []
            if told < 12 and kind.__module__ != "builtins" and not issubclass(kind, type):
                told += 1
                kept = holders(one)
            file.write("%d %d %s\\t%s\\n" % (size, count, name_of(kind), "\\t".join(kept)))
        file.write("end\\n")
    os.rename(path + ".part", path)
"""


def signal_command(pid: int, remote: str, signal: str) -> tuple[str, ...]:
    """The command that has a program count its objects by the signal that it agreed to.

    Args:
        pid: The program.
        remote: Where it writes, in the container.
        signal: Without ``SIG``.
    """
    script = (
        f'printf %s "$1" > {COUNTING_FILE} && kill -{signal} "$2" && n=0; '
        f'while [ ! -e "$3" ] && [ $n -lt {WAIT_SECONDS} ]; do sleep 1; n=$((n+1)); done; '
        f'rm -f {COUNTING_FILE}; [ -e "$3" ] && echo memtop counted'
    )
    return ("sh", "-c", script, "sh", f"{COUNTING_CODE}\n_memtop_count({remote!r})\n", str(pid), remote)


def remote_exec_command(pid: int, remote: str) -> tuple[str, ...]:
    """The command that has Python 3.14 or newer run the counting through ``sys.remote_exec``.

    Args:
        pid: The program.
        remote: Where it writes, in the container.
    """
    script = f"{remote}.py"
    steps = f"""
import os, sys, time
open({script!r}, "w").write({COUNTING_CODE + f"_memtop_count({remote!r})"!r})
sys.remote_exec({pid}, {script!r})
for _ in range({10 * WAIT_SECONDS}):
    if os.path.exists({remote!r}):
        print("memtop counted")
        break
    time.sleep(0.1)
os.unlink({script!r})
"""
    return ("python3", "-c", steps)


def python_object_captures(program: RuntimeProgram, means: CaptureMeans) -> Iterator[HeapCapture]:
    """Counts of objects by type, by whichever way this container has.

    Args:
        program: A Python program.
        means: What there is to capture with.
    """
    pid = program.process.pid
    remote = f"{means.folder or '/tmp'}/memtop-{means.stamp}-{pid}-objects.txt"
    version = tuple(part for part in map(parse_whole, program.version.split(".")) if part is not None)
    folder = "" if means.folder else "the container may write nowhere that memtop knows"
    pause = "Python stands still while it counts: about a second for every million objects."
    takes = max(16 * MIB, program.process.anon // 10)
    if version >= REMOTE_EXEC_SINCE:
        yield HeapCapture(
            "object counts by sys.remote_exec",
            CaptureMethod.FILE,
            pid,
            remote_exec_command(pid, remote),
            "-objects.txt",
            f"{pause} It needs the right to trace (same user, or SYS_PTRACE).",
            remote=remote,
            memory=takes,
            size=MIB,
            missing=folder or ("" if "python3" in means.tools else "the image has no python3 on its PATH"),
            success_text="memtop counted",
        )
        return
    signal = program.count_signal if program.count_signal in _SIGNALS else ""
    yield HeapCapture(
        f"object counts by signal {signal}" if signal else "object counts by type",
        CaptureMethod.FILE,
        pid,
        signal_command(pid, remote, signal) if signal else (),
        "-objects.txt",
        f"{pause} It does so at its next line of Python.",
        remote=remote,
        memory=takes,
        size=MIB,
        missing=folder or _why_not(program, signal),
        success_text="memtop counted",
    )


def _why_not(program: RuntimeProgram, signal: str) -> str:
    if not signal:
        return (
            "Python before 3.14 needs its agreement: add the line "
            f"`{LINE_TO_ADD}` to the program and {SIGNAL_VARIABLE}=USR2 to the container's environment; "
            "memtop then counts objects by type and names what keeps them"
        )
    if not program.process.catches(_SIGNALS[signal]):
        return f"{SIGNAL_VARIABLE} names {signal}, but the program has no handler for it: it would end"
    return ""
