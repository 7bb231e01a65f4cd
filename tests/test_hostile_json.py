"""What is sent for JSON ends nothing: every place that decodes it takes all that decoding can raise."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memtop.commands.classify import read_series_file
from memtop.commands.sample_tables import BadInputError
from memtop.history.prometheus_answers import (
    error_words,
    read_label_values,
    read_query_answer,
    read_series_labels,
    read_version,
)
from memtop.kube.api_errors import Unreachable
from memtop.kube.api_objects import RawList
from memtop.kube.client import parse_api_error
from memtop.kube.json_object import decode_object
from memtop.kube.lenient_decoding import decode_lenient

ROOT = Path(__file__).parents[1]
OWN = {
    ("memtop/change/change_plan.py", "self.body"),
    ("memtop/change/patch_file.py", "plan.body"),
    ("memtop/change/api_request.py", "msgspec.json.encode(found)"),
    ("memtop/kube/workload_revisions.py", "raw"),
}
"""What memtop itself has encoded, by the argument of the call."""
DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = {
    "too deep": DEEP,
    "too deep inside": b'{"status":"success","data":{"resultType":"matrix","result":' + DEEP + b"}}",
    "too deep beside": b'{"status":"success","message":"x","other":' + DEEP + b"}",
    "not UTF-8": b'{"status":"success","data":{"resultType":"\xed\xa0\x80","result":[]},"error":"\xff"}',
    "a number without end": b'{"status":"success","data":{"resultType":"scalar","result":[1e999,"1"]}}',
    "5,000 digits": b'{"status":"success","code":' + b"9" * 5000 + b',"items":' + b"9" * 5000 + b"}",
    "nothing": b"",
}


def said(read: Callable[[], object]) -> str:
    """What came of it, in words."""
    try:
        return repr(read())
    except Unreachable as error:
        return str(error)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_answer_of_prometheus_is_read_or_refused_in_words(body: bytes) -> None:
    for read in (read_query_answer, read_label_values, read_series_labels):
        assert said(lambda read=read: read(body))
    assert isinstance(read_version(body), str)
    assert isinstance(error_words(body), str)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_answer_of_the_api_is_read_or_refused_in_words(body: bytes) -> None:
    assert parse_api_error(500, {}, body).status == 500
    for read in (decode_object, lambda raw: decode_lenient(raw, RawList, "the list")):
        assert said(lambda read=read: read(body))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_file_of_series_is_read_or_refused_in_words(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "series"
    path.write_bytes(body)
    with pytest.raises(BadInputError) as refused:
        read_series_file(str(path))
    assert "\n" not in str(refused.value)


def decoding(path: Path) -> Iterator[tuple[int, str, str]]:
    """Each call that decodes JSON: its line, its argument, and the exceptions that are caught around it."""

    def visit(node: ast.AST, caught: str) -> Iterator[tuple[int, str, str]]:
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.endswith(("json.decode", "json.loads", "DECODER.decode", "decoder.decode")):
                yield node.lineno, ast.unparse(node.args[0]), caught
        if isinstance(node, ast.With | ast.AsyncWith):
            caught += " ".join(ast.unparse(item) for item in node.items if "suppress(" in ast.unparse(item))
        if isinstance(node, ast.Try):
            handled = " ".join(ast.unparse(one.type) for one in node.handlers if one.type is not None)
            for part in node.body:
                yield from visit(part, f"{caught} {handled}")
            for part in (*node.handlers, *node.orelse, *node.finalbody):
                yield from visit(part, caught)
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            caught = ""
        for part in ast.iter_child_nodes(node):
            yield from visit(part, caught)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), "")


def test_every_place_that_decodes_json_takes_all_that_decoding_raises() -> None:
    careless = []
    for path in sorted((ROOT / "memtop").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("memtop/demo/"):
            continue
        careless += [
            f"{name}:{line} {argument}"
            for line, argument, caught in decoding(path)
            if not ("JSON_ERRORS" in caught or "RecursionError" in caught or "_FAILURES" in caught)
            and (name, argument) not in OWN
        ]
    assert careless == []
