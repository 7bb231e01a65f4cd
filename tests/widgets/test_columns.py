from hypothesis import given
from hypothesis import strategies as st

from widgets.table_parts import TableColumn, column_gap, place_columns

OVERVIEW = [
    TableColumn("name", "Container", 20, flex=3, max_width=80),
    TableColumn("memory", "Memory", 9, justify="right"),
    TableColumn("limit", "Limit", 9, justify="right", drop_order=3),
    TableColumn("share", "Share", 14, flex=1, max_width=30),
    TableColumn("trend", "Trend", 12, flex=2, drop_order=2),
    TableColumn("node", "Node", 12, drop_order=1),
]


def keys(width: int) -> list[str]:
    return [column.key for column, _ in place_columns(OVERVIEW, width)]


def taken(placed: list[tuple[TableColumn, int]], width: int) -> int:
    return sum(each for _, each in placed) + column_gap(width) * (len(placed) - 1)


def test_columns_never_take_more_than_the_width_and_flexible_ones_use_it_up():
    for width in range(40, 301):
        assert taken(place_columns(OVERVIEW, width), width) == width, width


def test_columns_leave_in_their_order_and_the_ones_that_must_stay_do():
    assert keys(120) == ["name", "memory", "limit", "share", "trend", "node"]
    assert keys(79) == ["name", "memory", "limit", "share", "trend"]
    assert keys(66) == ["name", "memory", "limit", "share"]
    assert keys(50) == ["name", "memory", "share"]
    assert keys(20) == ["name", "memory", "share"]


def test_the_widest_column_gives_way_first_when_nothing_more_can_be_dropped():
    widths = {column.key: width for column, width in place_columns(OVERVIEW, 40)}
    assert widths["memory"] == 9
    assert widths["name"] < 20


def test_a_bounded_column_stops_growing_and_leaves_the_rest_to_the_others():
    widths = {column.key: width for column, width in place_columns(OVERVIEW, 300)}
    assert widths["name"] == 80
    assert widths["share"] == 30
    assert widths["memory"] == 9
    assert sum(widths.values()) == 300 - 2 * 5


@given(
    st.lists(
        st.builds(
            TableColumn,
            key=st.text(),
            title=st.text(),
            width=st.integers(1, 40),
            flex=st.integers(0, 4),
            max_width=st.sampled_from([0, 40, 60]),
            drop_order=st.integers(0, 5),
        ),
        max_size=12,
    ),
    st.integers(40, 300),
)
def test_any_columns_fit(columns, width):
    placed = place_columns(columns, width)
    assert taken(placed, width) <= width
    assert all(each >= 1 for _, each in placed)
    assert [column for column, _ in placed if not column.drop_order] == [
        c for c in columns if not c.drop_order
    ]
