"""Every setting of memtop, with its default.

A field here is one setting: its flag, its ``MEMTOP_*`` variable and its key in the TOML file derive from its
name (`config.options` says how), and the text under it is what ``--help``, ``memtop config`` and the README
say about it. Values that are given are checked by pydantic-settings (`config.invocation`); it is not imported
here, because the import takes longer than everything else before the first paint, and defaults need no check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from config import values

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

DEFAULT_PRESETS: dict[str, str] = {
    "memory": (
        r"\b(memory|mem|heap|rss|oom(?:[-_ ]?kill\w*)?|out[- ]of[- ]memory|OutOfMemory\w*|MemoryError|"
        r"alloc(?:ation)?s? fail\w*|cannot allocate|bad_alloc|full gc|working[- ]set|swap)\b"
    ),
    "heap": (
        r"\b(heap|heap(?:Used|Total|Alloc|Inuse|Sys|Idle)|HeapDump\w*|"
        r"(?:old|young|eden|survivor|tenured|large object)[- _](?:gen(?:eration)?|space|heap|regions)|"
        r"metaspace)\b"
    ),
    "gc": (
        r"\b(gc|garbage[- ]collect\w*|full gc|g1|zgc|shenandoah|scavenge|mark[- ](?:sweep|compact)|"
        r"pause (?:young|full|remark|cleanup)|allocation failure|to-space (?:exhausted|overflow)|"
        r"gen[012] collection)\b"
    ),
    "oom": (
        r"\b(oom|oom[-_ ]?kill(?:ed|er|ing)?|oomkilled|out[- ]of[- ]memory|OutOfMemory(?:Error|Exception)?|"
        r"MemoryError|cannot allocate memory|alloc(?:ation)? failed|bad_alloc|killed process|enomem|"
        r"exit code:? 137)\b"
    ),
    "load": (
        r"\b(?:load(?:ed|ing)?|fetch(?:ed|ing)?|read(?:ing)?|import(?:ed|ing)?|buffer(?:ed|ing)) "
        r"(?:(?:about|all|another|over|some|the|whole|entire) ){0,2}"
        r"(?:[\d.,]+ ?(?:million|thousand|[KMG]i?B|megabytes|gigabytes)\b|"
        r"\d{5,} ?(?:rows|records|items|entries|documents|objects|bytes)?)|"
        r"\b(?:large|huge|whole|entire) (?:data ?sets?|file|table|result ?set|response|payload|query)\b|"
        r"\b(?:dataset|result ?set|payload|response|batch) (?:is )?too (?:large|big)\b"
    ),
    "cache": (
        r"\bcache[sd]? (?:size|is (?:full|large|growing)|grew|has (?:grown|reached)|now holds|exceeds?|at)\b|"
        r"\bcache\b.{0,40}\b(?:\d{3,} (?:entries|items|keys)|evict\w*|unbounded|no limit|limit reached)|"
        r"\b(?:entries|items|sessions) in (?:the )?cache\b|\bmaxmemory\b"
    ),
    "java": (
        r"\b(java\.lang\.OutOfMemoryError|OutOfMemoryError|java heap space|gc overhead limit|metaspace|"
        r"direct buffer memory|unable to create (?:new )?native thread|requested array size|"
        r"pause (?:young|full|remark|cleanup)|full gc|allocation failure|heap ?dump|to-space exhausted)\b"
    ),
    "node": (
        r"(javascript heap out of memory|reached heap limit|ineffective mark-compacts|allocation failed|"
        r"last few gcs|\b(?:scavenge|mark-(?:sweep|compact))\b|\bheap(?:Used|Total)\b|\barrayBuffers\b|"
        r"MaxListenersExceededWarning|\bmax[-_]old[-_]space[-_]size\b)"
    ),
    "python": (
        r"\b(MemoryError|tracemalloc|gc: (?:collecting|done)|uncollectable|"
        r"unable to allocate .* for an array|cannot allocate memory|memory_profiler|RecursionError)\b"
    ),
    "go": (
        r"(\bgc \d+ @|\bscvg\b|runtime: out of memory|fatal error: .*out of memory|\bGOMEMLIMIT\b|\bGOGC\b|"
        r"\b(?:HeapAlloc|HeapInuse|HeapSys|HeapIdle|HeapReleased|NumGC)\b|cannot allocate memory|"
        r"goroutine stack exceeds)"
    ),
    "dotnet": (
        r"\b(System\.OutOfMemoryException|OutOfMemoryException|InsufficientMemoryException|"
        r"gc heap (?:hard limit|size)|gen ?[012](?: gc| heap| size)|large object heap|loh|"
        r"DOTNET_GC\w+|induced gc|GCMemoryInfo)\b"
    ),
    "kernel": (
        r"\b(oom[-_]kill(?:er)?|invoked oom-killer|out of memory: kill\w*|memory cgroup out of memory|"
        r"killed process \d+|page allocation failure|memory\.(?:max|high|events)|"
        r"anon-rss|oom_score(?:_adj)?|oom_reaper)\b"
    ),
}
"""What log lines are searched for: one regular expression a preset, searched for without regard to case.

Short words stand between word boundaries: a bare ``gc`` would match every line of a program that has a
``gcp`` or a ``msgcount`` in it."""


@dataclass(frozen=True)
class OptionDetails:
    """What the name and type of a field do not say about its option.

    Attributes:
        short: A one-letter flag, such as ``-n``.
        metavar: What stands for the value in the help.
        group: The heading it stands under in the help; by default its section's.
        unit: What a number counts, as it is written after it: ``s``, ``h``, or ``%`` for a share.
        secret: Never shown, and without a flag, since other users can read a command line.
    """

    short: str = ""
    metavar: str = ""
    group: str = ""
    unit: str = ""
    secret: bool = False


@dataclass(frozen=True)
class ValueReader:
    """How pydantic turns what was given into the field's value.

    Attributes:
        read: Returns the value, or raises ValueError with the end of a sentence.
    """

    read: Callable[[object], object]

    def __get_pydantic_core_schema__(
        self, source: object, handler: Callable[[object], CoreSchema]
    ) -> CoreSchema:
        """The field's own check, after `read`."""
        from pydantic_core import core_schema  # noqa: PLC0415  (pydantic asks, so it is imported)

        return core_schema.no_info_before_validator_function(self.read, handler(source))


def _interval(value: object) -> float:
    seconds = values.duration(value)
    if not 1 <= seconds <= 3600:
        raise ValueError("is not between 1s and 1h")
    return seconds


def _timeout(value: object) -> float:
    seconds = values.duration(value)
    if not 0.1 <= seconds <= 600:
        raise ValueError("is not between 100ms and 10m")
    return seconds


def _history(value: object) -> float:
    hours = values.hours(value)
    if not 0.25 <= hours <= 168:
        raise ValueError("is not between 15m and 7d")
    return hours


def _path(value: object) -> str:
    return str(Path(values.text(value)).expanduser())


def _presets(value: object) -> object:
    """The user's presets over the built-in ones, so that a file names only what it adds or changes."""
    if not isinstance(value, dict):
        raise ValueError('is not a table such as {leak = "leaked \\\\d+ bytes"}')  # noqa: TRY004
    return DEFAULT_PRESETS | value


def _object_labels(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('is not a table such as {release = "prometheus"}')  # noqa: TRY004
    return value


def _headers(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('is not a table such as {X-Scope-OrgID = "team"}')  # noqa: TRY004
    return value


def _alert_window(value: object) -> float:
    seconds = values.duration(value)
    if not 60 <= seconds <= 86400:
        raise ValueError("is not between 1m and 24h")
    return seconds


Text = Annotated[str, ValueReader(values.text)]
FilePath = Annotated[str, ValueReader(_path)]
Url = Annotated[str, ValueReader(values.url)]
Switch = Annotated[bool, ValueReader(values.switch)]
HeaderName = Annotated[str, ValueReader(values.header_name)]
HeaderValue = Annotated[str, ValueReader(values.header_value)]
Selector = Annotated[str, ValueReader(values.selector)]
Words = Annotated[tuple[str, ...], ValueReader(values.words)]
Service = Annotated[str, ValueReader(values.service)]
Namespaces = Annotated[tuple[str, ...], ValueReader(values.namespaces)]
Ratio = Annotated[float, ValueReader(values.ratio)]
Regex = Annotated[str, ValueReader(values.regex)]


class SettingsSection:
    """A table of the settings file; unknown keys are mistakes, and nothing changes after the start."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True)
class ClusterSettings(SettingsSection):
    """Which cluster, and what of it."""

    context: Annotated[Text | None, OptionDetails(metavar="NAME")] = None
    """The kubeconfig's context to use; by default its current one."""

    kubeconfig: Annotated[FilePath | None, OptionDetails(metavar="FILE")] = None
    """The kubeconfig; by default what KUBECONFIG names, else ~/.kube/config, else the pod's own account."""

    namespaces: Annotated[Namespaces, OptionDetails(short="-n", metavar="NS", group="What to show")] = ()
    """Namespace to watch; by default all, or the context's own where listing all is forbidden."""

    all_namespaces: Annotated[Switch, OptionDetails(short="-A", group="What to show")] = False
    """Watch all namespaces, whatever a weaker source says of `namespaces`."""

    selector: Annotated[
        Selector | None, OptionDetails(short="-l", metavar="LABELS", group="What to show")
    ] = None
    """Only pods with these labels, as kubectl writes them: app=shop,tier!=cache."""


@dataclass(frozen=True)
class ObserveSettings(SettingsSection):
    """How often, how long, and from where on it matters."""

    interval: Annotated[float, ValueReader(_interval), OptionDetails(metavar="TIME", unit="s")] = 15.0
    """Time between two readings of the metrics, 1s to 1h. Metrics servers measure every 15 to 60 s."""

    history: Annotated[float, ValueReader(_history), OptionDetails(metavar="TIME", unit="h")] = 24.0
    """How long samples are kept for trends and verdicts, 15m to 7d; a bare number counts hours."""

    warn_ratio: Annotated[Ratio, OptionDetails(metavar="SHARE", unit="%")] = 0.70
    """Share of the limit from which memory is shown as high: 70%, 70 or 0.7."""

    critical_ratio: Annotated[Ratio, OptionDetails(metavar="SHARE", unit="%")] = 0.90
    """Share of the limit from which memory is shown as critical."""

    keep_history: Switch = True
    """Keep samples on disk between runs, in the state folder, bounded."""


@dataclass(frozen=True)
class PrometheusSettings(SettingsSection):
    """Where the longer past comes from."""

    enabled: Switch = True
    """Ask Prometheus for the past; without it only what memtop saw itself counts."""

    url: Annotated[Url | None, OptionDetails(metavar="URL")] = None
    """Address of Prometheus, Thanos, VictoriaMetrics or Mimir; by default it is looked for."""

    service: Annotated[Service | None, OptionDetails(metavar="NS/NAME")] = None
    """Service of Prometheus in the cluster; headers and login go only to it, or to the URL."""

    headers: Annotated[
        dict[HeaderName, HeaderValue], ValueReader(_headers), OptionDetails(metavar="NAME=VALUE")
    ] = field(default_factory=dict, repr=False)
    """Header to send to Prometheus, such as X-Scope-OrgID=team."""

    username: Annotated[Text | None, OptionDetails(metavar="NAME")] = None
    """User name for basic authentication."""

    password: Annotated[Text | None, OptionDetails(secret=True)] = field(default=None, repr=False)
    """Password for basic authentication."""

    bearer_token: Annotated[Text | None, OptionDetails(secret=True)] = field(default=None, repr=False)
    """Bearer token for Prometheus."""

    bearer_token_file: Annotated[FilePath | None, OptionDetails(metavar="FILE")] = None
    """File with a bearer token for Prometheus, read again when it changes."""

    namespaces: Annotated[Namespaces, OptionDetails(metavar="NS")] = (
        "monitoring",
        "observability",
        "prometheus",
    )
    """Namespace to look for Prometheus in where listing all services is forbidden."""

    metric: Literal["rss", "working_set", "usage"] = "rss"
    """Memory that verdicts are computed on. The limit is always compared with the working set."""

    timeout: Annotated[float, ValueReader(_timeout), OptionDetails(metavar="TIME", unit="s")] = 10.0
    """Longest wait for an answer of Prometheus."""


@dataclass(frozen=True)
class LogSettings(SettingsSection):
    """How logs are searched."""

    presets: Annotated[dict[str, Regex], ValueReader(_presets), OptionDetails(metavar="NAME=REGEX")] = field(
        default_factory=DEFAULT_PRESETS.copy
    )
    """Regular expression under a name, to search logs for; adds to the built-in presets or replaces one."""


@dataclass(frozen=True)
class SafetySettings(SettingsSection):
    """What memtop may change."""

    read_only: Switch = False
    """Never change anything in the cluster."""

    protected_contexts: Annotated[Words, OptionDetails(metavar="PATTERN")] = ("*prod*",)
    """Contexts (patterns with * and ?) where a change needs the workload's name typed in full."""


@dataclass(frozen=True)
class WatchSettings(SettingsSection):
    """What happens when the verdict on a change becomes another one."""

    command: Annotated[Text | None, OptionDetails(metavar="COMMAND")] = None
    """Command to run when a verdict on a change becomes another; MEMTOP_VERDICT and others tell it more."""

    bell: Switch = False
    """Ring the terminal's bell then."""


@dataclass(frozen=True)
class AlertSettings(SettingsSection):
    """From where on alert rules fire, and where they are kept."""

    leak_window: Annotated[float, ValueReader(_alert_window), OptionDetails(metavar="TIME", unit="s")] = (
        21600.0
    )
    """Time over which the floor must grow for an alert of a leak, 1m to 24h."""

    leak_growth: Annotated[Ratio, OptionDetails(metavar="SHARE", unit="%")] = 0.10
    """Share by which the floor must grow within that time."""

    limit_within: Annotated[float, ValueReader(_alert_window), OptionDetails(metavar="TIME", unit="s")] = (
        14400.0
    )
    """An alert comes where the limit would be reached within that time, 1m to 24h."""

    forecast_window: Annotated[float, ValueReader(_alert_window), OptionDetails(metavar="TIME", unit="s")] = (
        3600.0
    )
    """Time from whose growth that is reckoned, 1m to 24h."""

    restarts: Annotated[int, ValueReader(values.between(1, 100, whole=True)), OptionDetails(metavar="N")] = 3
    """Restarts, or OOM kills, within an hour from which there is an alert."""

    pressure: Annotated[Ratio, OptionDetails(metavar="SHARE", unit="%")] = 0.10
    """Share of the time that processes wait for memory from which there is an alert."""

    name: Annotated[Text, OptionDetails(metavar="NAME")] = "memory-alerts"
    """Name of the ConfigMap or PrometheusRule that holds the rules."""

    namespace: Annotated[Text | None, OptionDetails(metavar="NS")] = None
    """Its namespace; by default that of Prometheus, else observability."""

    labels: Annotated[dict[Text, Text], ValueReader(_object_labels), OptionDetails(metavar="NAME=VALUE")] = (
        field(default_factory=dict)
    )
    """Label of that object; by default what the Prometheus resource selects rules by."""


@dataclass(frozen=True)
class ScreenSettings(SettingsSection):
    """What the screen looks like."""

    theme: Annotated[Text, OptionDetails(metavar="NAME")] = "textual-dark"
    """Colour theme."""

    symbols: Literal["braille", "block", "ascii"] = "braille"
    """What graphs are drawn with."""

    tips: Switch = True
    """Whether empty places of the screen say what can be done from there."""


@dataclass(frozen=True)
class DiagnosticsSettings(SettingsSection):
    """What memtop says of itself."""

    log_file: Annotated[FilePath | None, OptionDetails(metavar="FILE")] = None
    """File to log requests, states, decisions and tracebacks to, without secrets; rotated, at most 16 MiB."""


@dataclass(frozen=True)
class DemoSettings(SettingsSection):
    """The embedded cluster that --demo opens."""

    pods: Annotated[int, ValueReader(values.between(1, 100_000, whole=True)), OptionDetails(metavar="N")] = 60
    """Number of pods in the demo cluster."""

    speed: Annotated[float, ValueReader(values.between(0.01, 100_000)), OptionDetails(metavar="N")] = 1.0
    """How fast its time passes: at 60 an hour takes a minute."""

    seed: Annotated[int, ValueReader(values.between(0, 2**31, whole=True)), OptionDetails(metavar="N")] = 7
    """The same seed makes the same cluster."""

    churn: Annotated[float, ValueReader(values.between(0, 10_000)), OptionDetails(metavar="N")] = 0.0
    """Pod changes a second, beside what its pods do by themselves."""


@dataclass(frozen=True)
class Settings:
    """All settings; what is not given has its default."""

    cluster: ClusterSettings = ClusterSettings()
    observe: ObserveSettings = ObserveSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    logs: LogSettings = LogSettings()
    safety: SafetySettings = SafetySettings()
    watch: WatchSettings = WatchSettings()
    alerts: AlertSettings = AlertSettings()
    ui: ScreenSettings = ScreenSettings()
    diagnostics: DiagnosticsSettings = DiagnosticsSettings()
    demo: DemoSettings = DemoSettings()
