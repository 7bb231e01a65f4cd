"""The report, as it is written to a file."""

import pytest

from memtop.new_file import NewFileError
from memtop.stabilisation.document import as_markdown, save
from tests.stabilisation.made import seen


def test_a_report_is_written_once_and_never_over_another_file(tmp_path):
    path = tmp_path / "web.md"
    save(path, seen("holding"))
    assert path.read_text() == as_markdown(seen("holding"))
    with pytest.raises(NewFileError, match=f"there is such a file already: {path}"):
        save(path, seen("worse"))
    assert path.read_text() == as_markdown(seen("holding")), "what was there is untouched"
    with pytest.raises(NewFileError, match="cannot be written: No such file"):
        save(tmp_path / "no" / "web.md", seen("holding"))
