"""The PromQL of alert rules: memory by life of a container, its floor, its limit, its restarts and OOM kills.

Each expression ends in the labels ``namespace``, ``pod`` and ``container``, whatever this installation calls
them. No expression takes ``rate()`` of a gauge, and none holds on to a reason that stays 1 for ever: a reason
counts only together with a restart that has just been counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from memtop.history.prometheus_queries import (
    LAST_REASON_METRIC,
    LIMITS_METRIC,
    MEMORY_METRICS,
    OOM_EVENTS_METRIC,
    RESTARTS_METRIC,
    SPEC_LIMITS_METRIC,
    MetricSchema,
    any_of_regex,
    quote_promql,
)

OWNER_METRIC = "kube_pod_owner"
FRESH_SCRAPES = 3
"""Scrapes within which a life must have had a sample: a dead one echoes for five minutes in Prometheus."""
LEAST_FRESH = 120.0
"""Seconds; cAdvisor's samples may be a housekeeping interval older than the scrape that brings them."""
PAST_PEAK_WINDOW = "1d"
"""How far back a life's earlier peak is looked for: a day's rhythm and a nightly batch are in it."""
PEAK_TOLERANCE = 1.02
"""A peak must exceed the earlier one by this factor to be new: RSS of a steady process varies by 1 %."""
_HASH = "[bcdfghjklmnpqrstvwxz2456789]"
"""The characters that Kubernetes makes names of: a regular expression of them matches no word."""
_POD_NAMES = {
    "Deployment": f"-{_HASH}{{1,10}}-{_HASH}{{5}}",
    "ReplicaSet": f"-{_HASH}{{5}}",
    "DaemonSet": f"-{_HASH}{{5}}",
    "StatefulSet": "-[0-9]+",
    "CronJob": f"-[0-9]+-{_HASH}{{5}}",
    "Job": f"-{_HASH}{{5}}",
    "Pod": "",
}
_SAMPLE_ENDS = {
    "Deployment": "-7d4b9c6f5-x2kq{}",
    "ReplicaSet": "-x2kq{}",
    "DaemonSet": "-x2kq{}",
    "StatefulSet": "-{}",
    "CronJob": "-28000000-x2kq{}",
    "Job": "-x2kq{}",
    "Pod": "",
}


@dataclass(frozen=True, order=True)
class RuleWorkload:
    """A workload that rules are for, or that is left out of them.

    Attributes:
        namespace: Its namespace.
        kind: Such as ``Deployment``.
        name: Its name.
    """

    namespace: str
    kind: str
    name: str

    @property
    def pod_regex(self) -> str:
        """Matches the names of its pods, and of no other workload's."""
        return any_of_regex([self.name]) + _POD_NAMES[self.kind]

    def sample_pod(self, number: int) -> str:
        """The name of a pod that it could have; the number is 2 or 4 to 9."""
        return self.name + _SAMPLE_ENDS[self.kind].format(number)


@dataclass(frozen=True)
class PodSelection:
    """Which pods a rule is about.

    Attributes:
        namespaces: Only these; empty for all.
        workloads: Only pods of these; empty for all.
        without: Pods of these are left out.
        pods: Only these pods by name, where a past is looked at in parts.
    """

    namespaces: tuple[str, ...] = ()
    workloads: tuple[RuleWorkload, ...] = ()
    without: tuple[RuleWorkload, ...] = ()
    pods: tuple[str, ...] = ()

    def only(self, pods: Sequence[str]) -> PodSelection:
        """The same for some pods alone."""
        return replace(self, pods=tuple(pods))

    def matchers(self, namespace: str, pod: str) -> list[str]:
        """Label matchers, under the names that these labels have."""
        found = []
        if self.namespaces:
            found.append(_matcher(namespace, self.namespaces))
        if self.pods:
            found.append(_matcher(pod, self.pods))
        elif self.workloads:
            found.append(f"{pod}=~{quote_promql('|'.join(one.pod_regex for one in self.workloads))}")
        return found


def _matcher(label: str, values: Sequence[str]) -> str:
    if len(values) == 1:
        return f"{label}={quote_promql(values[0])}"
    return f"{label}=~{quote_promql(any_of_regex(values))}"


def promql_duration(seconds: float) -> str:
    """A duration as PromQL has it, in the largest unit that is exact."""
    whole = max(1, round(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


@dataclass(frozen=True)
class RuleMetrics:
    """What one installation has for rules and dashboards.

    Attributes:
        schema: What it calls things.
        more: Which of the metrics beside those of the schema are there.
        selection: Which pods.
    """

    schema: MetricSchema
    more: frozenset[str] = frozenset()
    selection: PodSelection = field(default_factory=PodSelection)

    def has(self, metric: str) -> bool:
        """Whether a metric is there."""
        return metric in self.schema.names or metric in self.more

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that every expression ends in."""
        return ("namespace", "pod") if self.schema.pods_only else ("namespace", "pod", "container")

    @property
    def by(self) -> str:
        """The labels as a list in PromQL."""
        return ", ".join(self.labels)

    @property
    def fresh_window(self) -> str:
        """Within which a life must have had a sample to be alive."""
        return promql_duration(max(LEAST_FRESH, FRESH_SCRAPES * self.schema.interval))

    def kubelet_series(self, metric: str, window: str = "", offset: str = "", *more: str) -> str:
        """A selector of the kubelet's series; pause containers and cAdvisor's sums are left out."""
        schema = self.schema
        container = () if schema.pods_only else (f'{schema.container}!=""', f'{schema.container}!="POD"')
        where = [*schema.selectors, *self.selection.matchers("namespace", schema.pod), *container, *more]
        return _selector(metric, where, window, offset)

    def state_series(self, metric: str, window: str = "", offset: str = "", *more: str) -> str:
        """A selector of kube-state-metrics' series."""
        namespace, pod, _ = self.schema.state_labels()
        where = [*self.schema.state_selectors, *self.selection.matchers(namespace, pod), *more]
        return _selector(metric, where, window, offset)

    def memory_series(self, window: str = "", offset: str = "") -> str:
        """The memory that rules look at: without page cache where there is RSS."""
        return self.kubelet_series(MEMORY_METRICS[self.schema.memory[0]], window, offset)

    def per_container(self, inner: str) -> str:
        """The kubelet's series joined to one of each container."""
        return self._standard(inner, self.schema.cadvisor_labels(), self.labels)

    def per_life(self, inner: str) -> str:
        """The kubelet's series joined to one of each life of a container: a life is a cgroup."""
        if self.schema.pods_only:
            return self.per_container(inner)
        return self._standard(inner, self.schema.cadvisor_labels("id"), (*self.labels, "id"))

    def per_state(self, inner: str, how: str = "max") -> str:
        """kube-state-metrics' series, one of each container."""
        return self._standard(inner, self.schema.state_labels()[: len(self.labels)], self.labels, how)

    def _standard(self, inner: str, given: Sequence[str], wanted: Sequence[str], how: str = "max") -> str:
        found = f"{how} by ({', '.join(given)}) ({inner})"
        renamed = [(old, new) for old, new in zip(given, wanted, strict=True) if old != new]
        if not renamed:
            return found
        for old, new in renamed:
            found = f'label_replace({found}, "{new}", "$1", "{old}", "(.*)")'
        return f"max by ({', '.join(wanted)}) ({found})"

    def living(self) -> str:
        """The memory of each container, bytes; what a dead one echoes is none."""
        fresh = f"present_over_time({self.memory_series(self.fresh_window)})"
        return self.per_container(f"{self.memory_series()} and {fresh}")

    @property
    def has_limits(self) -> bool:
        """Whether limits are known."""
        return self.has(LIMITS_METRIC) or self.has(SPEC_LIMITS_METRIC)

    def limit(self) -> str:
        """The limit of each container that has one, bytes; of a pod without container labels, their sum."""
        if self.has(LIMITS_METRIC):
            series = self.state_series(LIMITS_METRIC, "", "", 'resource="memory"')
            return self.per_state(series, "sum" if self.schema.pods_only else "max")
        return f"({self.per_container(self.kubelet_series(SPEC_LIMITS_METRIC))} > 0)"

    def floor(self, quarter: float, back: int) -> str:
        """The lowest memory of each life in a quarter of a window, bytes.

        Args:
            quarter: Seconds.
            back: 0 for the quarter that ends now, 3 for the oldest.
        """
        offset = promql_duration(quarter * back) if back else ""
        return self.per_life(f"min_over_time({self.memory_series(promql_duration(quarter), offset)})")

    def growth(self, window: float) -> str:
        """How much the floor of each life has grown from the first to the last quarter of a window, bytes."""
        return f"({self.floor(window / 4, 0)} - {self.floor(window / 4, 3)})"

    def growth_per_hour(self, window: float) -> str:
        """The same in bytes per hour: three quarters of the window lie between the two floors."""
        return f"{self.growth(window)} / {window * 0.75 / 3600:g}"

    def steadily(self, window: float) -> tuple[str, ...]:
        """What tells a leak from all else that grows, as conditions on lives.

        The floor rises from each quarter to the next by half of the average at least: a warm-up saturates and
        a step comes once. The life goes on. And its peak is new: a saw, a nightly batch and a day's rhythm
        have been as high before.
        """
        floors = [self.floor(window / 4, back) for back in range(4)]
        share = f"{self.growth(window)} / 6"
        fresh = self.per_life(f"present_over_time({self.memory_series(self.fresh_window)})")
        peak = self.per_life(f"max_over_time({self.memory_series(promql_duration(window / 4))})")
        earlier = self.memory_series(PAST_PEAK_WINDOW, promql_duration(window))
        return (
            *(f"and ({floors[at]} - {floors[at + 1]}) > {share}" for at in range(3)),
            f"and {fresh}",
            f"unless {peak} < {PEAK_TOLERANCE} * {self.per_life(f'max_over_time({earlier})')}",
        )

    def restarts(self, seconds: float) -> str:
        """How often each container has restarted within some time; whole numbers, nothing extrapolated."""
        if self.has(RESTARTS_METRIC):
            window = promql_duration(seconds)
            lowest = f"min_over_time({self.state_series(RESTARTS_METRIC, window)})"
            return self.per_state(f"{self.state_series(RESTARTS_METRIC)} - {lowest}")
        lives = self.per_life(f"present_over_time({self.memory_series(promql_duration(seconds))})")
        return f"(count by ({self.by}) ({lives}) - 1)"

    def died_by_oom(self, offset: str = "") -> str:
        """The containers whose last end was an OOM kill, whenever that was."""
        return (
            self.per_state(self.state_series(LAST_REASON_METRIC, "", offset, 'reason="OOMKilled"')) + " == 1"
        )

    @property
    def knows_oom_kills(self) -> bool:
        """Whether anything tells of OOM kills."""
        return self.has(OOM_EVENTS_METRIC) or (self.has(RESTARTS_METRIC) and self.has(LAST_REASON_METRIC))

    def oom_kills(self, seconds: float, at_least: int = 1) -> str:
        """The containers that were OOM-killed within some time, and how often."""
        if not (self.has(RESTARTS_METRIC) and self.has(LAST_REASON_METRIC)):
            events = f"increase({self.kubelet_series(OOM_EVENTS_METRIC, promql_duration(seconds))})"
            return f"sum by ({self.by}) ({self.per_life(events)}) > {at_least - 0.5:g}"
        counted = f"{self.restarts(seconds)} >= {at_least} and {self.died_by_oom()}"
        if at_least > 1:
            return counted
        window = promql_duration(seconds)
        # A kill shows before its restart, which waits for the back-off; but what kube-state-metrics did not
        # know of then, as while it was away, is no news.
        known = self.per_state(self.state_series(RESTARTS_METRIC, "", window))
        return f"({counted}) or ({self.died_by_oom()} unless {self.died_by_oom(window)} and {known})"

    def survived_oom_kills(self, seconds: float) -> str:
        """OOM kills in a cgroup that lives on: of a child process, and not of the container."""
        window = promql_duration(seconds)
        kills = self.per_life(f"increase({self.kubelet_series(OOM_EVENTS_METRIC, window)})")
        alive = self.per_life(
            f"present_over_time({self.kubelet_series(OOM_EVENTS_METRIC, self.fresh_window)})"
        )
        return f"max by ({self.by}) ({kills} > 0 and {alive})"

    def except_for(self, expression: str, drive: str, *, jobs: bool = False) -> str:
        """An expression without the workloads that are left out, and without the pods of Jobs.

        Args:
            expression: What is true of containers.
            drive: A metric that every pod in it has.
            jobs: Whether pods of Jobs are left out, which begin, grow and end.
        """
        if jobs and self.has(OWNER_METRIC):
            owners = self.state_series(OWNER_METRIC, "", "", 'owner_kind="Job"')
            pods = self._standard(owners, self.schema.state_labels()[:2], ("namespace", "pod"))
            expression = f"({expression})\nunless on (namespace, pod) {pods}"
        if not self.selection.without:
            return expression
        state = drive.startswith("kube_")
        at = self.schema.state_labels()[:2] if state else ("namespace", self.schema.pod)
        cluster = self.schema.state_selectors if state else self.schema.selectors
        parts = " or ".join(
            _selector(
                drive,
                [*cluster, _matcher(at[0], [one.namespace]), f"{at[1]}=~{quote_promql(one.pod_regex)}"],
            )
            for one in self.selection.without
        )
        return f"({expression})\nunless on (namespace, pod) {self._standard(parts, at, ('namespace', 'pod'))}"


def _selector(metric: str, where: Sequence[str], window: str = "", offset: str = "") -> str:
    found = f"{metric}{{{','.join(where)}}}" if where else metric
    return found + (f"[{window}]" if window else "") + (f" offset {offset}" if offset else "")
