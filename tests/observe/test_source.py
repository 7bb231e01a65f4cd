"""A source's state, and how long it rests before it tries again; time is a script here."""

import asyncio

import pytest

from memtop import retry
from memtop.kube.api_errors import ApiError, CredentialError, KubeconfigError, Unreachable
from memtop.kube.list_watch import WatchExpired
from memtop.observe.source import FORBIDDEN_DELAY, Source
from memtop.observe.view import SourceCondition, SourceStatus, merge_statuses
from memtop.retry import MAX_DELAY, STEADY_SECONDS


class Play:
    """Runs a source through a script: each entry is data that comes, or a failure."""

    def __init__(self, *script):
        self.now = 0.0
        self.script = list(script)
        self.rests = []
        self.states = []
        self.source = Source("pods", self.run, lambda: 1000.0, self.changed, self.rest)

    async def run(self, source):
        while self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            source.set_live(step)
            self.now += STEADY_SECONDS  # data goes on coming for so long
        raise asyncio.CancelledError

    async def rest(self, _, seconds):
        self.rests.append(seconds)

    def changed(self):
        self.states.append(self.source.status.state)

    async def end(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(retry, "steady_now", lambda: self.now)
            with pytest.raises(asyncio.CancelledError):
                await self.source.loop()
        return self.source.status


def refused(status, message="no", retry_after=None):
    return ApiError(status, "", message, retry_after)


async def test_it_begins_by_connecting():
    assert Play().source.status == SourceStatus("pods", SourceCondition.CONNECTING)


async def test_data_makes_it_live_with_the_datas_own_time():
    status = await Play(900.0).end()
    assert (status.state, status.data_at, status.words) == (SourceCondition.LIVE, 900.0, "")


@pytest.mark.parametrize(
    ("failure", "state", "words"),
    [
        (refused(403, "pods is forbidden"), SourceCondition.FORBIDDEN, "pods is forbidden"),
        (refused(404, "no metrics API"), SourceCondition.ABSENT, "no metrics API"),
        (refused(401, "Unauthorized"), SourceCondition.FAILING, "not logged in: Unauthorized"),
        (refused(500, "etcd is away"), SourceCondition.FAILING, "etcd is away"),
        (refused(429, "slow down"), SourceCondition.FAILING, "slow down"),
        (Unreachable("nobody answers"), SourceCondition.FAILING, "nobody answers"),
        (KubeconfigError("bad key"), SourceCondition.FAILING, "bad key"),
    ],
)
async def test_every_failure_is_a_state_in_words(failure, state, words):
    status = await Play(failure).end()
    assert (status.state, status.words, status.data_at) == (state, words, None)
    assert status.output == "", "nobody but a plugin writes anything"


async def test_what_a_credential_plugin_wrote_is_kept():
    status = await Play(CredentialError("aws failed", "token expired, run aws sso login")).end()
    assert (status.state, status.words) == (SourceCondition.FAILING, "aws failed")
    assert status.output == "token expired, run aws sso login"


async def test_what_was_live_and_fails_is_stale_and_keeps_the_age_of_its_data():
    status = await Play(900.0, Unreachable("gone")).end()
    assert (status.state, status.words, status.data_at) == (SourceCondition.STALE, "gone", 900.0)


async def test_rights_that_were_taken_away_are_not_called_stale():
    status = await Play(900.0, refused(403)).end()
    assert status.state is SourceCondition.FORBIDDEN


async def test_it_recovers_without_a_trace():
    status = await Play(Unreachable("gone"), refused(500), 950.0).end()
    assert status == SourceStatus("pods", SourceCondition.LIVE, data_at=950.0)


async def test_rests_grow_to_a_limit_and_shrink_after_success():
    play = Play(*[Unreachable("gone")] * 12, 900.0, Unreachable("gone"))
    await play.end()
    failing, again = play.rests[:12], play.rests[12]
    assert all(0.1 <= rest <= MAX_DELAY for rest in failing)
    assert max(failing[:2]) <= 1.0
    assert min(failing[-3:]) >= MAX_DELAY / 4
    assert again <= 0.5


async def test_a_server_that_asks_for_patience_gets_it():
    play = Play(refused(429, retry_after=17.0), refused(503, retry_after=90.0))
    await play.end()
    assert play.rests[0] >= 17.0
    assert play.rests[1] >= 90.0


async def test_missing_rights_and_missing_apis_are_asked_for_rarely():
    play = Play(*[refused(403)] * 20, refused(404))
    await play.end()
    assert play.rests[15:21] == [FORBIDDEN_DELAY] * 5 + [MAX_DELAY]


async def test_a_refusal_that_passes_is_soon_forgotten():
    """An authorizer that has only started refuses everybody for a moment."""
    play = Play(*[refused(403)] * 8, 900.0, refused(403))
    await play.end()
    waits, again = play.rests[:8], play.rests[8]
    assert sum(waits[:3]) < 45
    assert waits == sorted(waits)
    assert waits[-1] == FORBIDDEN_DELAY
    assert again == waits[0]


async def test_an_expired_version_is_no_failure():
    play = Play(900.0, WatchExpired("too old"))
    status = await play.end()
    assert status.state is SourceCondition.LIVE
    assert play.rests[0] <= 0.5


async def test_a_storm_of_expired_versions_is_answered_ever_more_rarely():
    play = Play(*[WatchExpired("too old")] * 9)
    await play.end()
    assert sum(play.rests) > 20.0, "each is a list of the whole collection"
    assert max(play.rests[-3:]) > 4 * max(play.rests[:3])


async def test_a_key_ends_the_rest_at_once():
    ran = asyncio.Event()
    failing = asyncio.Event()

    async def run(_):
        if failing.is_set():
            ran.set()
        failing.set()
        raise refused(403)

    source = Source("pods", run, lambda: 0.0, lambda: None)
    task = asyncio.create_task(source.loop())
    await failing.wait()
    while not ran.is_set():
        source.retry_now()
        await asyncio.sleep(0)
    task.cancel()


async def test_escape_sequences_in_a_servers_words_do_not_get_through():
    assert (await Play(refused(500, "\x1b[2Jboom")).end()).words == "boom"


async def test_what_becomes_of_it_is_in_the_log_file(caplog):
    caplog.set_level("INFO")
    await Play(1.0, refused(500, "boom"), 2.0).end()
    told = [
        record.getMessage() for record in caplog.records if record.getMessage().startswith("source pods ")
    ]
    assert [words.partition(" is ")[2] for words in told] == [
        "live: all is well",
        "stale: boom",
        "live: all is well",
    ]


async def test_only_changes_of_state_are_told():
    play = Play(1.0, 2.0, 3.0)
    await play.end()
    assert play.states == [SourceCondition.LIVE]


def test_sources_of_one_name_count_as_the_worst_with_the_oldest_data():
    one = SourceStatus("pods", SourceCondition.LIVE, data_at=30.0)
    two = SourceStatus("pods", SourceCondition.STALE, "gone", data_at=10.0)
    assert merge_statuses([one, two]) == two
    assert merge_statuses([one, SourceStatus("pods")]).state is SourceCondition.CONNECTING
    assert merge_statuses([one, SourceStatus("pods")]).data_at == 30.0


async def test_a_mistake_of_memtops_own_is_a_state_too_and_it_goes_on(caplog):
    play = Play(KeyError("hunter2"), 900.0)
    assert (await play.end()).state is SourceCondition.LIVE
    assert play.states[0] is SourceCondition.FAILING
    assert "KeyError" in caplog.text
