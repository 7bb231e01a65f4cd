"""The report, as it is written to a file."""

import pytest

from memtop.files import NewFileError
from memtop.stabilisation.verdict_report import report_markdown, save_report
from tests.stabilisation.made import seen


def test_a_report_is_written_once_and_never_over_another_file(tmp_path):
    path = tmp_path / "web.md"
    save_report(path, seen("holding"))
    assert path.read_text() == report_markdown(seen("holding"))
    with pytest.raises(NewFileError, match=f"there is such a file already: {path}"):
        save_report(path, seen("worse"))
    assert path.read_text() == report_markdown(seen("holding")), "what was there is untouched"
    with pytest.raises(NewFileError, match="cannot be written: No such file"):
        save_report(tmp_path / "no" / "web.md", seen("holding"))
