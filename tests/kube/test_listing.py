"""A list is taken apart as it comes, wherever the pieces of it end."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtop.kube.api_errors import Unreadable
from memtop.kube.api_objects import ListReader

MOST = 1_000_000


class Metadata(msgspec.Struct):
    name: str


class Thing(msgspec.Struct):
    metadata: Metadata
    note: str = ""


def read(raw):
    try:
        return msgspec.json.decode(raw, type=Thing)
    except msgspec.MsgspecError as error:
        raise Unreadable(str(error)) from error


def listing():
    return ListReader(read, "the list /things", MOST)


def whole(body, *ends):
    """What comes of a body that arrives in pieces with these ends."""
    reader, found = listing(), []
    for start, end in zip((0, *ends), (*ends, len(body)), strict=True):
        found += reader.feed(body[start:end])
    rest, metadata = reader.end()
    return found + rest, metadata


def thing(name, note="", **lead):
    return {**lead, "metadata": {"name": name}, "note": note}


def body(*items, **after):
    listed = {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": items} | after
    return json.dumps(listed, separators=(",", ":")).encode()


def names(found):
    return [item.metadata.name for item in found]


MANY = [f"thing-{number}" for number in range(30)]


def test_objects_come_before_the_list_ends():
    raw = body(*(thing(name) for name in MANY))
    reader = listing()
    assert names(reader.feed(raw[: len(raw) // 2]))[:10] == MANY[:10]


@given(st.data())
def test_the_pieces_may_end_anywhere(data):
    lead = data.draw(st.sampled_from([{}, {"kind": "Thing", "apiVersion": "v1"}]))
    notes = data.draw(st.lists(st.sampled_from(["", "]}", '},{"metadata":{', '"items":[', "\\"]), min_size=1))
    raw = body(*(thing(f"thing-{number}", note, **lead) for number, note in enumerate(notes)))
    ends = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=20)))
    found, metadata = whole(raw, *ends)
    assert [item.note for item in found] == notes
    assert metadata.resource_version == "7"


def test_an_object_that_holds_what_another_begins_with_is_not_cut_in_two():
    inner = {"metadata": {"name": "inner"}}
    items = [thing(name) | {"children": [inner, inner, inner]} for name in MANY]
    assert names(whole(body(*items))[0]) == MANY


def test_a_list_may_say_its_version_at_its_end():
    listed = {"items": [thing(name) for name in MANY], "metadata": {"resourceVersion": "9"}}
    found, metadata = whole(json.dumps(listed, separators=(",", ":")).encode())
    assert (names(found), metadata.resource_version) == (MANY, "9")


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_with_spaces_in_it_is_read_at_its_end(indent):
    listed = {"metadata": {"resourceVersion": "9"}, "items": [thing(name) for name in MANY]}
    found, metadata = whole(json.dumps(listed, indent=indent).encode())
    assert (names(found), metadata.resource_version) == (MANY, "9")


@pytest.mark.parametrize("raw", [b'{"metadata":{},"items":null}', b'{"metadata":{},"items":[]}'])
def test_a_list_may_be_empty(raw):
    assert whole(raw)[0] == []


def test_half_a_list_is_said_to_be_one():
    raw = body(*(thing(name) for name in MANY))
    with pytest.raises(Unreadable, match="the list /things cannot be read"):
        whole(raw[: len(raw) // 2])


def test_an_object_of_another_kind_is_left_out_and_counted():
    items = [thing(name) for name in MANY]
    items[3] = {"metadata": {"name": 5}}
    raw, reader = body(*items), listing()
    found = reader.feed(raw[:900]) + reader.feed(raw[900:]) + reader.end()[0]
    assert names(found) == MANY[:3] + MANY[4:]
    assert ["Expected `str`" in why for why in reader.unread] == [True]


def test_what_has_no_end_is_not_kept():
    reader = ListReader(read, "the list /things", 10_000)
    for _ in range(11):
        reader.feed(b" " * 1000)
    with pytest.raises(Unreadable, match="does not end"):
        reader.feed(b" ")
