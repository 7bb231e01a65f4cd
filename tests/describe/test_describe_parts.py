from datetime import timedelta, timezone
from fractions import Fraction

import pytest

from memtop.describe.container_sections import pod_limits, pod_requests, qos_class
from memtop.describe.formatting import ZonedNow, align_columns, human_duration
from memtop.kube.json_object import selector_words
from memtop.quantity import Quantity, add_quantities, canonical, parse_quantities, parse_quantity, percent_of

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 86400 * 365


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "<invalid>"),
        (-1.9, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE + 59, "10m"),
        (179 * MINUTE + 59, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 20 * MINUTE, "3h20m"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (8 * HOUR + 59 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (7 * DAY + 23 * HOUR, "7d23h"),
        (8 * DAY + 23 * HOUR, "8d"),
        (2 * YEAR - 1, "729d"),
        (2 * YEAR, "2y"),
        (7 * YEAR + 364 * DAY, "7y364d"),
        (8 * YEAR + 5 * DAY, "8y"),
    ],
)
def test_ages_are_kubernetes_words(seconds, words):
    assert human_duration(seconds) == words


def test_times_are_those_of_the_readers_zone():
    moment = ZonedNow(0, timezone(-timedelta(hours=3, minutes=30)))
    assert moment.stamp("2023-12-18T01:00:00Z") == "Sun, 17 Dec 2023 21:30:00 -0330"
    assert moment.stamp("2023-12-18T01:00:00.123456Z") == "Sun, 17 Dec 2023 21:30:00 -0330"


@pytest.mark.parametrize("text", ["", "0001-01-01T00:00:00Z", "yesterday"])
def test_a_time_that_was_never_set_is_unknown(text):
    moment = ZonedNow(0)
    assert moment.age_of(text) == "<unknown>"
    assert moment.stamp(text) == "Mon, 01 Jan 0001 00:00:00 +0000"


def test_a_column_is_as_wide_as_its_widest_cell_and_ends_where_lines_have_none():
    assert align_columns(["a\tb", "longer\tc", "alone", "x\ty"]) == [
        "a       b",
        "longer  c",
        "alone",
        "x  y",
    ]


def test_an_empty_cell_still_makes_a_column():
    assert align_columns(["a\t\tb", "cc\t\td"]) == ["a     b", "cc    d"]


def test_newlines_and_tabs_in_a_value_are_lines_and_cells_as_in_kubectl():
    assert align_columns(["Message:\tone\ntwo\tthree"]) == ["Message:  one", "two       three"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.5Gi", "512Mi"),
        ("1024Mi", "1Gi"),
        ("1000m", "1"),
        ("1100m", "1100m"),
        ("1500000", "1500k"),
        ("267847642337", "267847642337"),
        ("1e3", "1e3"),
        ("100Ki", "100Ki"),
        ("0.5Ki", "512"),
        ("-2048", "-2048"),
        ("0", "0"),
        ("plenty", "plenty"),
        ("5Xi", "5Xi"),
    ],
)
def test_quantities_are_printed_in_canonical_form(text, words):
    assert canonical(text) == words


def test_a_sum_keeps_the_form_of_its_first_part():
    assert str(parse_quantity("512Mi") + parse_quantity("1G")) == "1536870912"
    assert str(parse_quantity("512Mi") + parse_quantity("512Mi")) == "1Gi"
    assert str(Quantity(Fraction()) + parse_quantity("1Ki")) == "1Ki"
    assert add_quantities(parse_quantities({"a": "1"}), parse_quantities({"b": "nonsense", "a": "2"})) == {
        "a": parse_quantity("3")
    }


def test_shares_are_cut_off_and_nothing_is_a_share_of_nothing():
    assert percent_of(parse_quantity("200m"), parse_quantity("1700m"), milli=True) == 11
    assert percent_of(parse_quantity("1Gi"), parse_quantity("0")) == 0


def container(memory, **more):
    return {"resources": {"requests": {"memory": memory}, "limits": {"memory": memory}}, **more}


def test_a_pod_needs_its_containers_or_its_largest_init_container_beside_the_sidecars():
    pod = {
        "spec": {
            "containers": [container("100Mi"), container("50Mi")],
            "initContainers": [container("30Mi", restartPolicy="Always"), container("200Mi")],
            "overhead": {"memory": "1Mi"},
        }
    }
    assert str(pod_requests(pod)["memory"]) == "231Mi"
    assert str(pod_limits(pod)["memory"]) == "231Mi"


@pytest.mark.parametrize(
    ("requests", "limits", "words"),
    [
        ({}, {}, "BestEffort"),
        ({"memory": "0"}, {}, "BestEffort"),
        ({"memory": "1Gi"}, {}, "Burstable"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"}, "Guaranteed"),
        ({}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "500m", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, "Burstable"),
    ],
)
def test_the_qos_class_follows_from_requests_and_limits(requests, limits, words):
    assert qos_class({"containers": [{"resources": {"requests": requests, "limits": limits}}]}) == words


def test_selectors_are_written_as_kubectl_takes_them():
    selector = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [
            {"key": "c", "operator": "NotIn", "values": ["y", "x"]},
            {"key": "d", "operator": "?"},
        ],
    }
    assert selector_words(selector) == "a=1,b=2,c notin (x,y)"
    assert selector_words({}) == ""
