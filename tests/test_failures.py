"""What an exception is to a person."""

import pytest

from memtop.kube.api_errors import Unreachable
from memtop.quantity import parse_bytes
from memtop.wording import failure_sentence


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Unreachable("nobody answers"), "nobody answers"),
        (ExceptionGroup("two", [Unreachable("nobody answers")]), "nobody answers"),
        (OSError(28, "No space left on device", "/srv/x"), "/srv/x: No space left on device"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_sentences_of_memtop_and_of_the_system_are_kept(error, sentence):
    assert failure_sentence(raised(error)) == sentence


@pytest.mark.parametrize(
    "error",
    [KeyError("hunter2"), OSError("hunter2"), ExceptionGroup("hunter2", [KeyError("hunter2"), ValueError()])],
)
def test_the_text_of_a_mistake_is_not_shown_since_it_may_hold_values(error):
    assert failure_sentence(raised(error)).startswith(f"a mistake in memtop: {type(error).__name__} in ")
    assert "hunter2" not in failure_sentence(raised(error))


def test_a_mistake_is_told_with_its_place():
    with pytest.raises(TypeError) as caught:
        parse_bytes(object())
    assert "in memtop.quantity, line " in failure_sentence(caught.value)
