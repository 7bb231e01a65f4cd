"""What a picker finds for the letters that are typed."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from widgets import picker
from widgets.picker import fuzzy_match


def best(query: str, *names: str) -> list[str]:
    found = [(hit[0], name) for name in names if (hit := fuzzy_match(query, name))]
    return [name for _, name in sorted(found, key=lambda each: -each[0])]


def test_letters_must_all_be_there_and_in_order():
    assert fuzzy_match("upy", "user-proxy")
    assert fuzzy_match("ypu", "user-proxy") is None
    assert fuzzy_match("USER", "user-proxy")


def test_letters_in_a_row_beat_letters_apart():
    assert best("prod", "p1r1o1d1", "product", "staging") == ["product", "p1r1o1d1"]


def test_starts_of_words_beat_their_middles():
    assert best("us", "bonus", "user-service")[0] == "user-service"
    assert list(fuzzy_match("kp", "kube-proxy")[1]) == [0, 5]


def test_an_empty_query_matches_everything():
    assert fuzzy_match("", "shop") == (0, ())


def test_a_label_where_the_letters_stand_in_very_many_ways_is_not_ranked():
    with patch.object(picker._FUZZY, "match") as ranked:
        assert fuzzy_match("e-e-e-e-", "e-" * 3 + "ee--" * 8) is not None
        assert fuzzy_match("abababab", "aabb" * 15 + "z") is not None
        assert fuzzy_match("ababababz", "aabb" * 15) is None
    ranked.assert_not_called()


@given(st.text(max_size=6), st.text(max_size=20))
def test_positions_are_inside_the_label(query, label):
    if (found := fuzzy_match(query, label)) is not None:
        assert all(0 <= at < len(label) for at in found[1])
        assert list(found[1]) == sorted(set(found[1]))


@given(st.text("abcAB-", max_size=4), st.text("abcAB-", max_size=9))
def test_positions_are_those_of_the_letters(query, label):
    if (found := fuzzy_match(query, label)) is not None and found[1]:
        assert "".join(label[at] for at in found[1]).lower() == query.lower()
