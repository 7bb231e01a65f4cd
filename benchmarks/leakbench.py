"""How good the verdicts are: runs `memtop classify` over a labelled bench and its scorer over the answers.

    python benchmarks/leakbench.py ../shared/leakbench [scorer options such as --families --errors 20]

The folder holds `cases.jsonl.gz`, `truth.jsonl` and `score.py`; without it, this program says so and ends.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memtop.commands.classify import run_classify

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    """Prints the scorer's table."""
    folder = (
        Path(sys.argv[1])
        if len(sys.argv) > 1
        else Path(__file__).resolve().parents[2] / "shared" / "leakbench"
    )
    cases = folder / "cases.jsonl.gz"
    if not cases.exists():
        print(f"no bench at {folder}: name the folder that holds cases.jsonl.gz", file=sys.stderr)
        return 2
    out = io.StringIO()
    began = time.process_time()
    code = run_classify([str(cases)], out, sys.stderr)
    took = time.process_time() - began
    if code:
        return code
    answers = out.getvalue()
    print(
        f"{answers.count(chr(10))} series classified in {took:.1f} s of CPU, reading and writing included\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as predictions:
        predictions.write(answers)
        predictions.flush()
        scorer = [sys.executable, str(folder / "score.py"), predictions.name, *sys.argv[2:]]
        return subprocess.run(scorer, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
