import itertools
import math

from memtop.demo.container_runs import Behaviour, ContainerTimeline, Phase, RestartPolicy
from memtop.demo.memory_curves import HOUR, MIB, Curve

LEAK = Behaviour(Curve(100 * MIB, leak=900 * MIB / HOUR), spread=0.0)
CRASH = Behaviour(Curve(10 * MIB), exits_after=20.0, exit_code=1)
STEADY = Behaviour(Curve(10 * MIB))


def life(behaviour, limit=1000 * MIB, policy=RestartPolicy.ALWAYS):
    return ContainerTimeline(behaviour, limit, 1000.0, policy, seed=5)


def test_an_oom_kill_is_seen_in_its_three_phases():
    leaking = life(LEAK)
    first = leaking.runs(1000.0)[0]
    assert (first.reason, first.exit_code) == ("OOMKilled", 137)
    assert leaking.state(first.end - 1).phase is Phase.RUNNING
    terminated = leaking.state(first.end + 0.1)
    assert (terminated.phase, terminated.run) == (Phase.TERMINATED, first)
    waiting = leaking.state(first.end + 3)
    assert (waiting.phase, waiting.run, waiting.backoff) == (Phase.BACKING_OFF, first, 10.0)
    again = leaking.state(first.end + 20)
    assert again.phase is Phase.RUNNING
    assert again.run.index == 1
    assert again.previous == first


def test_back_off_doubles_to_five_minutes():
    crashing = life(CRASH)
    runs = crashing.runs(1000.0 + 3 * HOUR)
    pauses = [round(later.start - earlier.end - 1.5) for earlier, later in itertools.pairwise(runs)]
    assert pauses[:7] == [10, 20, 40, 80, 160, 300, 300]


def test_back_off_starts_again_after_ten_good_minutes():
    runs = life(LEAK).runs(1000.0 + 6 * HOUR)
    pauses = {round(later.start - earlier.end - 1.5) for earlier, later in itertools.pairwise(runs)}
    assert pauses == {10}


def test_next_change_visits_every_state():
    crashing = life(CRASH)
    at, phases = 990.0, []
    for _ in range(6):
        phases.append(crashing.state(at).phase)
        at = crashing.next_change(at) + 1e-3
    assert phases == [
        Phase.CREATING,
        Phase.RUNNING,
        Phase.RUNNING,
        Phase.TERMINATED,
        Phase.BACKING_OFF,
        Phase.RUNNING,
    ]


def test_an_image_that_does_not_exist_alternates_between_two_words():
    absent = life(None)
    phases = {absent.state(1000.0 + seconds).phase for seconds in (1.0, 21.0)}
    assert phases == {Phase.PULL_FAILED, Phase.PULL_BACKING_OFF}
    assert absent.runs(5000.0) == []


def test_a_job_is_not_restarted_once_it_succeeded():
    done = life(Behaviour(Curve(MIB), exits_after=5.0), policy=RestartPolicy.NEVER)
    assert done.state(2000.0).phase is Phase.TERMINATED
    assert math.isinf(done.next_change(2000.0))


def test_readiness_takes_a_moment():
    steady = life(STEADY)
    assert not steady.ready(1001.0)
    assert steady.ready(1005.0)


def test_a_stopped_life_has_no_more_runs():
    crashing = life(CRASH)
    crashing.stop(1100.0)
    assert crashing.runs(9000.0)[-1].end <= 1100.0


def test_looking_ahead_does_not_change_what_was():
    """A clock that runs fast is ahead of what is being done: what happens next must not depend on that."""
    program = Behaviour(Curve(50 * MIB), exits_after=100.0, exit_code=1)
    unseen = ContainerTimeline(program, math.inf, 0.0, RestartPolicy.ALWAYS, 3)
    ahead = ContainerTimeline(program, math.inf, 0.0, RestartPolicy.ALWAYS, 3)
    ahead.runs(5 * HOUR)
    moment = 0.0
    for _ in range(20):
        assert ahead.state(moment) == unseen.state(moment)
        assert ahead.next_change(moment) == unseen.next_change(moment)
        moment = unseen.next_change(moment)
