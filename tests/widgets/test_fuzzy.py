from hypothesis import given
from hypothesis import strategies as st

from widgets.fuzzy import match


def best(query: str, *names: str) -> list[str]:
    found = [(hit[0], name) for name in names if (hit := match(query, name))]
    return [name for _, name in sorted(found, key=lambda each: -each[0])]


def test_letters_must_all_be_there_and_in_order():
    assert match("upy", "user-proxy")
    assert match("ypu", "user-proxy") is None
    assert match("USER", "user-proxy")


def test_whole_words_beat_runs_and_runs_beat_strewn_letters():
    assert best("prod", "p-r-o-d", "reproduce", "product", "staging") == ["product", "reproduce", "p-r-o-d"]


def test_starts_of_words_beat_their_middles():
    assert best("us", "bonus", "user-service", "kube-us")[0] == "user-service"
    assert match("kp", "kube-proxy")[1] == [0, 5]


@given(st.text(max_size=6), st.text(max_size=20))
def test_positions_are_those_of_the_letters(query, text):
    if (found := match(query, text)) is not None:
        assert len(found[1]) == len(query.lower())
        assert all(0 <= at < len(text) for at in found[1])
        assert list(found[1]) == sorted(set(found[1]))
