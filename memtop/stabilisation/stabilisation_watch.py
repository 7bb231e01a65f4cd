"""Watches a change: asks all sources, judges, and asks again, whatever happens to the cluster meanwhile."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from memtop.analysis.stability import Stability, StabilityVerdict, judge_change
from memtop.background import run_in_thread
from memtop.kube.api_errors import CLUSTER_FAILURES, ApiError, KubeconfigError
from memtop.kube.api_objects import METRICS_PATH, Pod, PodMetricsList
from memtop.kube.client import Client
from memtop.kube.lenient_decoding import decode_lenient
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import hash_label
from memtop.log_file import get_logger
from memtop.observe.source import ServerClock
from memtop.observe.watchlist import MIN_POLL_SECONDS, Watchlist
from memtop.retry import Backoff, wait_or_until
from memtop.sanitize import sanitize
from memtop.stabilisation.before_and_after import BeforeAndAfter, compare_with_last_run, gather_sides
from memtop.stabilisation.earlier_revisions import earlier_leak
from memtop.stabilisation.live_samples import LiveSamples, SampleRecorder
from memtop.stabilisation.past_samples import PastByContainer, PastSamples, PrometheusSamples, samples_on_disk
from memtop.stabilisation.revision_change import RevisionChange, change_time_from_pods, find_change
from memtop.wording import duration

if TYPE_CHECKING:
    from config.settings import PrometheusSettings

LOGGER = get_logger("stabilisation")
LONGEST_PAUSE = 60.0
"""Seconds between two attempts while the API server does not answer."""
INTERNAL_ERROR = "a mistake of memtop's own"
"""What a problem begins with that is no failure of the cluster's."""
_WORST_FIRST = (
    StabilityVerdict.WORSE,
    StabilityVerdict.STILL_LEAKING,
    StabilityVerdict.ONLY_POSTPONED,
    StabilityVerdict.WATCHING,
    StabilityVerdict.HOLDING,
)


@dataclass(frozen=True)
class StabilisationOptions:
    """How to watch.

    Attributes:
        interval: Seconds of the cluster's clock between two looks.
        speed: Seconds of cluster time per second here; 1 but for a simulated cluster.
        prometheus: How to find and ask Prometheus; None for not at all.
        folder: Where memtop keeps samples of this cluster; None for nowhere.
        revision: The number of the revision that is watched; None for the newest, whichever that is.
        container: The container that is watched; by default those that changed.
        against: The number of the revision that is compared with; None for the last that ran.
        record: Whether to keep what is seen in `folder`, unless another memtop does.
    """

    interval: float = 15.0
    speed: float = 1.0
    prometheus: PrometheusSettings | None = None
    folder: Path | None = None
    revision: int | None = None
    container: str | None = None
    against: int | None = None
    record: bool = False

    @classmethod
    def of(cls, plan: Watchlist, interval: float | None = None) -> StabilisationOptions:
        """How to watch what an engine observes.

        Args:
            plan: The engine's.
            interval: Seconds between two looks, if they are not the plan's.
        """
        return cls(
            interval=plan.interval if interval is None else interval,
            speed=plan.speed,
            prometheus=plan.history.prometheus,
            folder=plan.history.folder,
        )


@dataclass(frozen=True, eq=False)
class StabilisationState:
    """What is known at one moment.

    Attributes:
        ref: The workload.
        change: What changed.
        time: The cluster's time, Unix seconds.
        container: The container that decides: of those that changed, the one that is worst off.
        by_container: What is known of each container, by name.
        stabilities: What is judged of each, by name.
        running: New pods that are there.
        notes: What is in the way of knowing more, and where the past comes from; one sentence each.
        problem: Why the last look failed; empty if it did not. What is shown is older then.
        without_prometheus: Whether Prometheus was not asked yet, so that something may be shown while it is.
        suggested_revision: An earlier revision that leaked and should rather be compared with; None for none.
    """

    ref: ObjectRef
    change: RevisionChange
    time: float
    container: str
    by_container: Mapping[str, BeforeAndAfter]
    stabilities: Mapping[str, Stability]
    running: int
    notes: tuple[str, ...] = ()
    problem: str = ""
    without_prometheus: bool = False
    suggested_revision: int | None = None

    @property
    def stability(self) -> Stability:
        """The verdict on the change."""
        return self.stabilities[self.container]

    def for_container(self, container: str) -> StabilisationState:
        """The same about another container, if it is known."""
        return replace(self, container=container) if container in self.stabilities else self


class _PodList(msgspec.Struct):
    items: list[Pod] | None = None


async def follow_stabilisation(
    client: Client,
    ref: ObjectRef,
    options: StabilisationOptions,
    again: asyncio.Event | None = None,
    against: Callable[[], int | None] | None = None,
) -> AsyncGenerator[StabilisationState | str, None]:
    """Watches a change for ever: one value after each look; before the first, why there is none yet.

    Failures end nothing: the API server and Prometheus may go and come back, and what was seen stays. Nor
    does a mistake of memtop's own, once something was seen; it is told as the problem.

    Args:
        client: The connection.
        ref: The workload.
        options: How to watch.
        again: Set by whoever does not want to wait for the next look; what was seen stays.
        against: Asked before each look for the revision that is compared with, in place of the options'.

    Raises:
        ApiError: At the first look: there is no such workload or revision, or it may not be read.
        KubeconfigError: At the first look: a certificate or key is not usable.
    """
    watch = StabilisationWatch(client, ref, options)
    again = again or asyncio.Event()
    pause = max(MIN_POLL_SECONDS, options.interval / options.speed)
    backoff = Backoff(first=2 * pause, longest=max(2 * pause, LONGEST_PAUSE))
    try:
        while True:
            seen: StabilisationState | str
            failure: Exception | None = None
            if against is not None:
                watch.against = against()
            try:
                seen = await watch.read_and_judge()
                backoff.reset()
            except CLUSTER_FAILURES as error:
                if (
                    watch.state is None
                    and isinstance(error, ApiError | KubeconfigError)
                    and not _is_temporary(error)
                ):
                    raise
                failure = error
                seen = watch.failed(error)
            except Exception as error:  # a watch of two days outlives it, and says it
                if watch.state is None:
                    raise
                LOGGER.exception("a look at %s failed", ref)
                failure = error
                seen = replace(watch.state, problem=_internal_error_words(error))
            yield seen
            if isinstance(seen, StabilisationState) and seen.without_prometheus and not seen.problem:
                continue
            if failure is None:
                await wait_or_until(again, pause)
            else:
                await backoff.wait(failure, at_least=pause, until=again)
            if again.is_set():
                again.clear()
                watch.ask_prometheus_now()
    finally:
        await watch.close()


def _internal_error_words(error: Exception) -> str:
    """A mistake of memtop's own in one line, with where it was made."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    words = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}"
    return f"{INTERNAL_ERROR}: {sanitize(' '.join(words.split()))}"


def _is_temporary(error: Exception) -> bool:
    """Whether a refusal may be over soon: too many requests, or a server that is starting."""
    return isinstance(error, ApiError) and (error.status == 429 or error.status >= 500)


class StabilisationWatch:
    """One change that is watched; `follow` drives it.

    Args:
        client: The connection.
        ref: The workload.
        options: How to watch.

    Attributes:
        state: What was seen last; None before the first look.
        against: The number of the revision that is compared with; None for the last that ran.
    """

    def __init__(self, client: Client, ref: ObjectRef, options: StabilisationOptions) -> None:
        self.state: StabilisationState | None = None
        self.against = options.against
        self._client = client
        self._ref = ref
        self._options = options
        self._clock = ServerClock(options.speed)
        self._live = LiveSamples(hash_label(ref.kind))
        self._metrics = Backoff(first=options.interval / options.speed, longest=LONGEST_PAUSE)
        self._metrics_problem = ""
        self._ask_metrics_at = float("-inf")
        self._key: tuple[int, str] | None = None
        self._disk: PastByContainer = {}
        self._recorder = (
            SampleRecorder(options.folder, ref.namespace) if options.folder and options.record else None
        )
        self._prometheus = (
            PrometheusSamples(client, options.prometheus, options.speed)
            if options.prometheus is not None
            else None
        )

    async def close(self) -> None:
        """Ends what is open."""
        if self._recorder is not None:
            living = [one for one in self._live.containers.values() if one.is_present]
            await run_in_thread(self._recorder.close, living, self._clock.now())
        if self._prometheus is not None:
            await self._prometheus.close()

    def ask_prometheus_now(self) -> None:
        """Has Prometheus asked at the next look, whether or not it is time."""
        if self._prometheus is not None:
            self._prometheus.ask_now()

    def failed(self, error: Exception) -> StabilisationState | str:
        """The last that was seen, with what is in the way; before the first look only that."""
        problem = sanitize(str(error)) or "the API server refused"
        return problem if self.state is None else replace(self.state, problem=problem)

    async def read_and_judge(self) -> StabilisationState:
        """Asks all sources once and judges."""
        change = await find_change(self._client, self._ref, self._options.revision)
        await self._see_pods(change)
        now = self._clock.now()
        living = [one for one in self._live.containers.values() if one.is_present]
        new = [one for one in living if one.revision == change.revision.hash]
        at, how = change_time_from_pods(change, [one.created for one in new])
        change = replace(change, changed_at=at, how_known=how)
        notes = [note] if (note := await self._see_metrics(change)) else []
        if self._recorder is not None:
            notes.append(await run_in_thread(self._recorder.keep, living, now))
        if change.key != self._key:
            self._key = change.key
            folder = self._options.folder
            self._disk = (
                await run_in_thread(samples_on_disk, folder, change, now) if folder is not None else {}
            )
        memory = PastSamples()
        skip_prometheus = self._prometheus is not None and self.state is None
        if self._prometheus is not None and not skip_prometheus:
            await self._prometheus.refresh(
                change, [one.pod for one in living], now, old_living=len(new) < len(living)
            )
            memory = self._prometheus.samples
            notes.append(memory.sentence)
        running = len({one.uid for one in new})
        wanted = self._wanted(change)
        change = compare_with_last_run(change, self._live.containers, memory, self._disk)
        offer: int | None = None
        if self.against is not None:
            change = change.compared_with(self.against)
            notes.append(f"compared with revision {change.previous_number}, as asked")
        else:
            notes.append(_skipped_revisions(change))
            offer, note = await run_in_thread(self._better_comparison, change, memory, now)
            notes.append(note)
        sides, stabilities = await run_in_thread(self._judged, change, wanted, memory, now)
        worst = _worst_container(change, stabilities)
        said = tuple(filter(None, [*notes, "asking Prometheus …" if skip_prometheus else ""]))
        before = self.state
        self.state = StabilisationState(
            self._ref,
            change,
            now,
            worst,
            sides,
            stabilities,
            running,
            said,
            without_prometheus=skip_prometheus,
            suggested_revision=offer,
        )
        verdict = self.state.stability.verdict
        if before is None or before.stability.verdict is not verdict:
            LOGGER.info("verdict on revision %s of %s: %s", change.revision.number, self._ref, verdict)
        return self.state

    def _wanted(self, change: RevisionChange) -> tuple[str, ...]:
        """The containers that are watched.

        Raises:
            ApiError: There is none of the name that was asked for.
        """
        asked, there = self._options.container, change.lasting_containers
        if asked is None:
            return there
        if asked not in there:
            words = f"{self._ref} has no container {asked!r}; it has {', '.join(there)}"
            raise ApiError(404, "NotFound", words)
        return (asked,)

    def _better_comparison(
        self, change: RevisionChange, memory: PastSamples, now: float
    ) -> tuple[int | None, str]:
        """An earlier revision whose leak is still the question, and why; None and nothing for none."""
        for container in change.containers:
            known = self._live.containers
            if found := earlier_leak(change, container, known, memory, self._disk, now):
                old, words = found
                ran = duration(change.previous_until - change.previous.created) if change.previous else ""
                return old.number, (
                    f"revision {change.previous_number} ran for {ran} only, and revision {old.number} before "
                    f"it {words}: to compare with that one press v, or use --against {old.number}"
                )
        return None, ""

    def _judged(
        self, change: RevisionChange, wanted: tuple[str, ...], memory: PastSamples, now: float
    ) -> tuple[dict[str, BeforeAndAfter], dict[str, Stability]]:
        sides: dict[str, BeforeAndAfter] = {}
        for container in wanted:
            found = gather_sides(change, container, self._live.containers, memory, self._disk, now)
            asked = container == self._options.container
            if asked or found.before.known or found.after.known or container in change.containers:
                sides[container] = found
        judged = {
            name: judge_change(one.before, one.after, change.changed_at, now) for name, one in sides.items()
        }
        return sides, judged

    async def _see_pods(self, change: RevisionChange) -> None:
        path = f"/api/v1/namespaces/{self._ref.namespace}/pods"
        params = {"labelSelector": change.selector, "resourceVersion": "0"}
        response = await self._client.request("GET", path, params)
        self._clock.observe(response.headers.get("Date"))
        pods = decode_lenient(response.body, _PodList, f"the answer to {path}").items or []
        self._live.take_pods(pods, self._clock.now())

    async def _see_metrics(self, change: RevisionChange) -> str:
        """Asks for samples; why there are none, if so."""
        loop_time = asyncio.get_running_loop().time
        if loop_time() < self._ask_metrics_at:
            return self._metrics_problem
        path = f"{METRICS_PATH}/namespaces/{self._ref.namespace}/pods"
        try:
            body = await self._client.get(path, {"labelSelector": change.selector})
            self._live.take_metrics(decode_lenient(body, PodMetricsList, "the answer").items or [])
        except CLUSTER_FAILURES as error:
            if isinstance(error, ApiError) and error.status == 404:
                self._metrics_problem = "this cluster has no metrics API"
            else:
                self._metrics_problem = f"metrics: {sanitize(str(error))}"
            self._ask_metrics_at = loop_time() + self._metrics.next_pause(error)
            return self._metrics_problem
        self._metrics.reset()
        return ""


def _skipped_revisions(change: RevisionChange) -> str:
    """Which revisions are passed over, because nothing is known of a run; empty for none."""
    passed = []
    for one in change.earlier:
        if change.previous is None or one.number == change.previous.number:
            break
        passed.append(str(one.number))
    if not passed or change.previous is None:
        return ""
    which = f"revision{'s' if len(passed) > 1 else ''} {' and '.join(passed)}"
    return f"compared with revision {change.previous.number}: no run is known of {which}"


def _worst_container(change: RevisionChange, stabilities: Mapping[str, Stability]) -> str:
    """The container whose verdict is the change's: of those that changed, the one that is worst off."""
    changed = [name for name in change.containers if name in stabilities] or list(stabilities)
    return min(
        changed,
        key=lambda name: (
            _WORST_FIRST.index(stabilities[name].verdict),
            -(stabilities[name].before.rate or 0.0),
        ),
    )
