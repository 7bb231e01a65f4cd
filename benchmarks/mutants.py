"""Would the tests notice? Small faults put into the code one at a time, and how many of them fail a test.

    python benchmarks/mutants.py [PACKAGE ...] [--sample 120] [--seed 1] [--seconds 3600]

The faults are those of mutmut (numbers, strings, comparisons, operators, arguments, assignments, branches),
in functions and outside them, so constants count. Of each package a sample is drawn: a fault's place in it
depends on the seed and on the fault itself, so it stays in the sample when code elsewhere changes or moves.

mutmut's own runner is not used: it mutates functions only, and knows neither samples nor a bound in time. A
copy of the tree gets one fault after the other. Each is tried by the tests of the package's own folders that
run the changed statement (measured once with coverage.py), the quickest first, until one fails; by all of
them where no test runs it, or where it runs at import. A fault that makes the tests take six times as long as
without it, and 20 s more, is killed too, and counted as a time-out.

Importing memtop anew for each fault takes most of the time. So it is imported once, and a fault in a function
is put into the functions that are there. One that survives so is tried again the slow way, which counts: it
may have been in something that runs at import.

A fault that changes nothing anybody could observe is no fault: those are listed with the reason in
`equivalent_mutants.toml` and do not count. Needs no network.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import difflib
import gc
import hashlib
import importlib
import inspect
import os
import py_compile
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy: threads do not survive a fork

import coverage
import libcst as cst
import pytest
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

PACKAGES = {
    "analysis": ("tests/analysis",),
    "stabilisation": ("tests/stabilisation",),
    "change": ("tests/change",),
    "observe": ("tests/observe",),
}
"""The packages of `memtop/`, and the folders of the tests that try their faults."""
ROOT = Path(__file__).resolve().parent.parent
COPIED = ("memtop", "tui", "widgets", "config", "tests", "pyproject.toml")
PRELOADED = ("aiohttp", "hypothesis", "kubernetes.aio", "msgspec", "numpy", "pytest_asyncio", "yaml")
"""Imported once, before the forks."""
OWN = ("config", "memtop", "widgets", "tui")
"""Imported once for the faults in functions, and by every fork for the others."""
PATIENCE_FACTOR, PATIENCE_SECONDS = 6.0, 20.0
MEMORY = 6 * 2**30
"""Bytes of address space that the tests of a fault may take."""


@dataclass(frozen=True)
class Fault:
    """One change of the code.

    Attributes:
        key: A short name that stays the same while the function around it does.
        path: The file, from the root of the tree.
        line: Where the change begins, from 1.
        before: The changed lines as they are.
        after: The changed lines as they would be.
        code: The whole file with the fault.
    """

    key: str
    path: str
    line: int
    before: str
    after: str
    code: str


@dataclass
class Known:
    """What the tests do without a fault.

    Attributes:
        seconds: How long each test takes.
        tests: The tests that run a line, by file and line.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[str, dict[int, set[str]]] = field(default_factory=dict)


@dataclass
class Score:
    """What became of a package's faults."""

    made: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def killed(self) -> int:
        """How many failed a test, or never ended."""
        return self.outcomes["killed"] + self.outcomes["time-out"]

    @property
    def counted(self) -> int:
        """How many were tried that are faults at all."""
        return self.killed + self.outcomes["survived"]


class Measured:
    """Tells coverage.py which test runs, and how long each takes."""

    def __init__(self, measure: coverage.Coverage) -> None:
        self.measure = measure
        self.seconds: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Counts the lines that run from here on as the test's."""
        self.measure.switch_context(item.nodeid)
        result = yield
        self.measure.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Adds up set-up, call and tear-down."""
        self.seconds[report.nodeid] += report.duration


class Chosen:
    """Runs only some tests, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.place = {test: index for index, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drops the others."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self.place), key=lambda item: self.place[item.nodeid]
        )


def run(
    tree: Path,
    arguments: Sequence[str],
    plugin: object,
    patience: float | None = None,
    begin: Callable[[], None] = lambda: None,
) -> int | None:
    """Runs pytest in a child process.

    Args:
        tree: The copy of the tree.
        arguments: For pytest.
        plugin: Of this run; for `Measured` what it has measured is written into the tree.
        patience: Seconds after which it is ended; None for no bound.
        begin: What the child does first.

    Returns:
        pytest's exit code; None if it was ended.
    """
    child = os.fork()
    if not child:
        code = 70
        try:
            begin()
            code = _in_child(tree, arguments, plugin)
        finally:  # a child that came here must not go on as its parent
            os._exit(code)
    begun, status = time.monotonic(), 0
    try:
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if patience is not None and time.monotonic() - begun > patience:
                return None
            time.sleep(0.01)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # whatever it has started
        if not ended:
            os.waitpid(child, 0)


def _in_child(tree: Path, arguments: Sequence[str], plugin: object) -> int:
    os.setsid()
    with (tree / "output").open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    _move_into(tree)
    measured = isinstance(plugin, Measured)
    if not measured:
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    options = ["-p", "no:cacheprovider", "-p", "no:randomly", "-m", "not real and not long", "--tb=line"]
    if not measured:
        return int(pytest.main([*options, "-x", "--hypothesis-seed=0", *arguments], [plugin]))
    plugin.measure.start()
    code = int(pytest.main([*options, *arguments], [plugin]))
    plugin.measure.stop()
    plugin.measure.save()
    lines = (f"{seconds:.4f} {test}\n" for test, seconds in plugin.seconds.items())
    Path("durations").write_text("".join(lines))
    return code


def _move_into(tree: Path) -> None:
    """Makes this process see the copy of the tree and nothing else of memtop's or the person's."""
    os.chdir(tree)
    # A fault must find nothing of the person's to spoil: no kubeconfig, no history, no audit log.
    home = tree / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("XDG_", "KUBE", "MEMTOP_", "PYTEST_", "COVERAGE_")):
            del os.environ[name]
    os.environ |= {"HOME": str(home), "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path[:] = [
        str(tree),
        *(place for place in sys.path if ROOT not in (own := Path(place or ".").resolve(), own.parent)),
    ]


def forget_all() -> None:
    """Makes this process import memtop anew."""
    for name in [one for one in sys.modules if one.partition(".")[0] in OWN]:
        del sys.modules[name]
    importlib.invalidate_caches()


def import_all(tree: Path) -> None:
    """Imports all of memtop from the copy of the tree."""
    forget_all()
    _move_into(tree)
    sys.dont_write_bytecode = True
    for name in OWN:
        for path in sorted((tree / name).rglob("*.py")):
            if path.name != "__main__.py":
                importlib.import_module(".".join(path.relative_to(tree).with_suffix("").parts))


def changed_functions(before: CodeType, after: CodeType) -> dict[tuple[str, int], CodeType] | None:
    """The new code of the outermost functions that differ, by name and first line.

    None where more than that differs: a module or a class is not the same, or a default of a function.
    """
    if before == after:
        return {}
    inner, new = ([one for one in code.co_consts if isinstance(one, CodeType)] for code in (before, after))
    if len(inner) != len(new) or _without_inner(before) != _without_inner(after):
        return None
    found: dict[tuple[str, int], CodeType] = {}
    for old, changed in zip(inner, new, strict=True):
        if old == changed:
            continue
        if old.co_flags & inspect.CO_NEWLOCALS and old.co_flags & inspect.CO_OPTIMIZED:
            if old.co_freevars != changed.co_freevars:
                return None
            found[old.co_qualname, old.co_firstlineno] = changed
        else:  # the body of a class
            deeper = changed_functions(old, changed)
            if deeper is None:
                return None
            found |= deeper
    return found


def _without_inner(code: CodeType) -> CodeType:
    consts = tuple(None if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_consts=consts, co_linetable=b"", co_exceptiontable=b"")


def put_in(fault: Fault, tree: Path) -> Callable[[], None] | None:
    """What puts a fault into the functions of this process; None where it cannot be."""
    place = str(tree / fault.path)
    before = compile((tree / fault.path).read_text(), place, "exec", dont_inherit=True)
    new = changed_functions(before, compile(fault.code, place, "exec", dont_inherit=True))
    if not new:
        return None
    functions = [
        (one, code)
        for one in gc.get_objects()
        if type(one) is FunctionType
        and one.__code__.co_filename == place
        and (code := new.get((one.__code__.co_qualname, one.__code__.co_firstlineno))) is not None
    ]
    if {code for _, code in functions} != set(new.values()):
        return None

    def put() -> None:
        for function, code in functions:
            function.__code__ = code

    return put


def copy_tree(place: Path) -> None:
    """Copies what the tests need, compiled so that only a file that was changed is compiled again."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "real", ".hypothesis")
            shutil.copytree(source, place / name, ignore=ignored)
        else:
            shutil.copy(source, place / name)
    for name in COPIED[:4]:
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(str(place / name), quiet=1, invalidation_mode=mode)


def known(tree: Path, package: str) -> Known:
    """Runs a package's tests without a fault.

    Raises:
        SystemExit: One of them fails.
    """
    places = PACKAGES[package]
    data = tree / "coverage"
    measure = coverage.Coverage(
        data_file=str(data), config_file=False, source=[str(tree / "memtop" / package)]
    )
    if run(tree, places, Measured(measure), begin=forget_all) != 0:
        print((tree / "output").read_text()[-3000:])
        raise SystemExit(f"the tests of {' and '.join(places)} fail without a fault")
    found = Known()
    for line in (tree / "durations").read_text().splitlines():
        seconds, _, test = line.partition(" ")
        found.seconds[test] = float(seconds)
    import_all(tree)
    everything = Chosen(sorted(found.seconds))
    if run(tree, places, everything) != 0:
        print((tree / "output").read_text()[-3000:])
        raise SystemExit(
            f"the tests of {' and '.join(places)} fail, without a fault, the way faults are tried"
        )
    lines = coverage.CoverageData(str(data))
    lines.read()
    for path in lines.measured_files():
        by_line = {
            line: {test for test in tests if test} for line, tests in lines.contexts_by_lineno(path).items()
        }
        found.tests[str(Path(path).relative_to(tree))] = by_line
    return found


def faults(tree: Path, package: str, seed: int, most: int | None) -> tuple[int, list[Fault]]:
    """The number of all faults of a package, and a sample of them."""
    drawn = []
    seen: Counter[str] = Counter()
    for path in sorted((tree / "memtop" / package).glob("*.py")):
        visitor = MutationVisitor(mutation_operators, IgnoredCode(set(), set(), set()))
        module = cst.MetadataWrapper(cst.parse_module(path.read_text())).visit(visitor)
        for one in visitor.mutations:
            around = one.contained_by_top_level_function
            name = around.name.value if isinstance(around, cst.FunctionDef) else ""
            parts = (
                name,
                module.code_for_node(one.original_node),
                module.code_for_node(one.mutated_node),
            )
            text = "\0".join(parts)
            seen[text] += 1
            key = hashlib.sha256(f"{seed}\0{text}\0{seen[text]}".encode()).hexdigest()[:12]
            drawn.append((key, path, module, one))
    sample = sorted(drawn, key=lambda one: one[0])[:most]
    return len(drawn), [_fault(tree, *one) for one in sample]


def _fault(tree: Path, key: str, path: Path, module: cst.Module, mutation) -> Fault:
    before, after = module.code, module.deep_replace(mutation.original_node, mutation.mutated_node).code
    old, new = before.splitlines(), after.splitlines()
    changes = [
        one
        for one in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if one[0] != "equal"
    ]
    first, last = changes[0], changes[-1]
    return Fault(
        key,
        str(path.relative_to(tree)),
        first[1] + 1,
        " ".join(line.strip() for line in old[first[1] : last[2]]),
        " ".join(line.strip() for line in new[first[3] : last[4]]),
        after,
    )


def statement(source: str, line: int) -> tuple[range, bool]:
    """The lines of the innermost statement, or of its head, and whether it is inside a function."""
    found, inside = range(line, line + 1), False

    def visit(body: Sequence[ast.AST], function: bool) -> None:
        nonlocal found, inside
        for node in body:
            first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
            if first is not None and not first <= line <= last:
                continue
            if isinstance(node, ast.stmt):
                own = getattr(node, "body", None)
                found, inside = range(first, own[0].lineno if own else last + 1), function
                if line not in found:
                    found = range(line, line + 1)
            deeper = function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            blocks = [
                getattr(node, name, []) for name in ("body", "orelse", "finalbody", "handlers", "cases")
            ]
            visit([one for block in blocks if isinstance(block, list) for one in block], deeper)

    visit(ast.parse(source).body, function=False)
    return found, inside


def chosen(fault: Fault, tree: Path, without: Known) -> list[str]:
    """The tests that can notice a fault, the quickest first."""
    by_line = without.tests.get(fault.path, {})
    lines, inside = statement((tree / fault.path).read_text(), fault.line)
    tests = set().union(*(by_line.get(line, set()) for line in lines)) if inside else set()
    quickest = sorted(without.seconds, key=without.seconds.__getitem__)
    if tests:
        return [test for test in quickest if test in tests]
    of_file = set().union(*by_line.values()) if by_line else set()
    return sorted(quickest, key=lambda test: test not in of_file)


def outcome(tree: Path, fault: Fault, without: Known) -> str:
    """Tries one fault."""
    tests = chosen(fault, tree, without)
    files = sorted({test.partition("::")[0] for test in tests})
    patience = PATIENCE_SECONDS + PATIENCE_FACTOR * sum(without.seconds[test] for test in tests)
    begin = put_in(fault, tree)
    if begin is not None:
        code = run(tree, files, Chosen(tests), patience, begin)
        if code is None:
            return "time-out"
        if code not in {0, pytest.ExitCode.NO_TESTS_COLLECTED}:
            return "killed"
    place = tree / fault.path
    original = place.read_text()
    try:
        place.write_text(fault.code)
        code = run(tree, files, Chosen(tests), patience, forget_all)
    finally:
        place.write_text(original)
    if code is None:
        return "time-out"
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise SystemExit(f"no test was found for {fault.path}:{fault.line}")
    return "killed" if code else "survived"


def equivalent() -> dict[tuple[str, str], str]:
    """Why a change is no fault, by the lines before and after it."""
    path = Path(__file__).with_name("equivalent_mutants.toml")
    listed = tomllib.loads(path.read_text())["mutant"] if path.exists() else []
    return {(one["before"], one["after"]): one["why"] for one in listed}


def measure(package: str, asked: argparse.Namespace) -> Score:
    """Tries the faults of a package and prints those that survive."""
    score, no_fault = Score(), equivalent()
    most = None if asked.only else asked.sample
    with tempfile.TemporaryDirectory(prefix="memtop-mutants-") as folder:
        tree = Path(folder).resolve()
        copy_tree(tree)  # the faults are of what is copied, whatever becomes of the sources meanwhile
        score.made, sample = faults(tree, package, asked.seed, most)
        if asked.only:
            sample = [one for one in sample if one.key in asked.only]
        without = known(tree, package)
        begun = time.monotonic()
        for number, fault in enumerate(sample):
            if time.monotonic() - begun > asked.seconds:
                print(f"{package}: time is up after {number} of {len(sample)}")
                break
            changed = fault.before, fault.after
            found = "equivalent" if changed in no_fault else outcome(tree, fault, without)
            score.outcomes[found] += 1
            if found == "survived" or asked.only or asked.verbose:
                print(
                    f"{found} {fault.key} {fault.path}:{fault.line}\n  - {fault.before}\n  + {fault.after}",
                    flush=True,
                )
    return score


def main() -> None:
    """Prints the survivors and the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"by default {', '.join(PACKAGES)}")
    parser.add_argument("--sample", type=int, default=120, help="faults of each package (default 120)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=3600.0, help="for each package at most (default 3600)"
    )
    parser.add_argument(
        "--only", type=lambda text: text.split(","), help="the faults of these keys, in any sample"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="print every fault, not only those that survive"
    )
    asked = parser.parse_args()
    if unknown := set(asked.packages) - set(PACKAGES):
        parser.error(f"there is no package {', '.join(sorted(unknown))}; there are {', '.join(PACKAGES)}")
    for name in PRELOADED:
        __import__(name)
    scores = {package: measure(package, asked) for package in asked.packages or PACKAGES}
    print(f"\nseed {asked.seed}")
    columns = ("killed", "time-out", "survived", "equivalent")
    print(
        f"{'package':<14}{'faults':>8}{'tried':>8}"
        + "".join(f"{one:>12}" for one in columns)
        + f"{'score':>9}"
    )
    for package, score in scores.items():
        counts = "".join(f"{score.outcomes[one]:>12}" for one in columns)
        share = f"{score.killed / score.counted:.1%}" if score.counted else "none"
        print(f"{package:<14}{score.made:>8}{score.outcomes.total():>8}{counts}{share:>9}")


if __name__ == "__main__":
    main()
