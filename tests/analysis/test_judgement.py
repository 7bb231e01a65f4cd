import pytest

from memtop.analysis.judgement import Judgement, Verdict


@pytest.mark.parametrize(
    ("judgement", "sentence"),
    [
        (
            Judgement(
                Verdict.LEAK, 0.99, 48 * 2**20, 45 * 2**20, 51 * 2**20, 6600, 6000, 7200, 22800, 1520, 3, 3
            ),
            "floor rises 48 MiB/h (±3) over 6 h 20 m across 3 OOM kills; limit in about 1 h 50 m",
        ),
        (
            Judgement(
                Verdict.LEAK, 0.7, 2**20, 2**20 - 1024, 2**20 + 1024, None, None, None, 3600, 240, 1, 0
            ),
            "floor rises 1 MiB/h (±1 KiB) over 1 h across 1 restart",
        ),
        (
            Judgement(Verdict.NOT_ENOUGH_DATA, 1, window_seconds=45, samples=4),
            "only 4 samples over 45 s; too little to judge",
        ),
        (
            Judgement(Verdict.STEADY, 0.9, 0, -1, 1, window_seconds=3600, samples=240, cuts=2, oom_kills=1),
            "no lasting growth over 1 h across 2 restarts, 1 OOM kill",
        ),
        (
            Judgement(Verdict.STEADY, 0.9, window_seconds=3600, stalled=0.08, child_kills=3, swapped=2**20),
            "no lasting growth over 1 h; stalls on memory 8 % of the time; 3 OOM kills of child processes "
            "within the last hour; 1 MiB swapped out",
        ),
        (
            Judgement(Verdict.STEADY, 0.9, window_seconds=3600, stalled=0.004, child_kills=0, swapped=0),
            "no lasting growth over 1 h",
        ),
    ],
)
def test_evidence_is_one_sentence_in_the_words_of_the_field(judgement, sentence):
    assert judgement.evidence() == sentence


def test_ends_by_memory_are_told_by_their_kinds():
    found = Judgement(
        Verdict.OOM_LOOP, 0.9, memory_deaths=6, heap_deaths=2, evictions=1, samples=99, seconds_lived=1200.0
    )
    assert found.evidence() == (
        "OOM-killed 3 times, ran out of heap twice, evicted for memory once, each about 20 m after its "
        "start: no growth was seen before"
    )


@pytest.mark.parametrize(
    ("samples", "lived", "words"),
    [
        (99, 1200.0, "no growth was seen before"),
        (2, 1200.0, "too few samples to see it grow"),
        (99, 4.0, "too fast to see it grow"),
        (2, 4.0, "too fast to see it grow"),
    ],
)
def test_why_a_loop_of_kills_shows_no_growth_is_said(samples, lived, words):
    found = Judgement(Verdict.OOM_LOOP, 0.9, memory_deaths=4, samples=samples, seconds_lived=lived)
    assert found.evidence().endswith(words)


def test_what_dies_again_and_again_and_does_not_run_has_its_limit_after_each_start():
    found = Judgement(
        Verdict.LEAK, 0.99, 2**20, None, None, 0.0, 0.0, 9.0, 3600, 240, 3, 3, seconds_per_life=190
    )
    assert found.evidence().endswith("; at the limit now")
    resting = found.at_rest()
    assert (resting.seconds_to_limit, resting.seconds_to_limit_low, resting.seconds_to_limit_high) == (
        None,
    ) * 3
    assert resting.evidence() == (
        "floor rises 1 MiB/h over 1 h across 3 OOM kills; limit about 3 m after each start"
    )


def test_what_is_flat_until_it_dies_is_not_said_to_rise_by_nothing():
    found = Judgement(
        Verdict.LEAK,
        *(0.99, 3.0, -900.0, 900.0),
        window_seconds=3600,
        samples=240,
        cuts=9,
        memory_deaths=9,
        heap_deaths=9,
        death_level=236 * 2.0**20,
        seconds_lived=360.0,
    )
    assert found.evidence() == (
        "rises until it dies, again and again, over 1 h across 9 restarts; dies at about 236 MiB, "
        "6 m after each start"
    )


def test_a_limit_that_is_ages_away_is_not_counted_in_days():
    judgement = Judgement(Verdict.LEAK, 0.9, 1024.0, seconds_to_limit=86_400 * 13_865_531.0)
    assert judgement.evidence().endswith("; limit in more than a year")


def test_every_verdict_has_evidence():
    for verdict in Verdict:
        assert Judgement(verdict, 0.9, window_seconds=60, samples=9).evidence()


def test_only_a_sure_leak_is_called_a_leak():
    assert Judgement(Verdict.LEAK, 0.97).certainty == "leak"
    assert Judgement(Verdict.LEAK, 0.4).certainty == "suspected leak"
    assert Judgement(Verdict.STEP, 0.5).certainty == "step"


def test_a_rate_that_is_not_known_is_left_out():
    assert Judgement(Verdict.LEAK, 0.5, 2**20).evidence().startswith("floor rises 1 MiB/h over")
