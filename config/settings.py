"""Every option of memtop, once.

A field here is one option: its flag, its ``MEMTOP_*`` variable and its key in the TOML file derive from its
name (`config.options` says how), and the text under it is what ``--help``, ``memtop config`` and the README
say about it. Values that somebody gives go through pydantic-settings (`config.check`); it is not imported
here, since that takes longer than all else before the first paint, and defaults need no check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from config import values
from config.presets import DEFAULT_PRESETS

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Mark:
    """What a field's name and type don't say about its option.

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
class Check:
    """How pydantic turns what was given into the field's value.

    Attributes:
        read: Returns the value, or raises ValueError with the end of a sentence.
    """

    read: Callable[[object], object]

    def __get_pydantic_core_schema__(
        self, source: object, handler: Callable[[object], CoreSchema]
    ) -> CoreSchema:
        """The field's own check, after `read`."""
        from pydantic_core import core_schema  # noqa: PLC0415  (whoever asks has imported it)

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


def _headers(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('is not a table such as {X-Scope-OrgID = "team"}')  # noqa: TRY004
    return value


Text = Annotated[str, Check(values.text)]
FilePath = Annotated[str, Check(_path)]
Url = Annotated[str, Check(values.url)]
Switch = Annotated[bool, Check(values.switch)]
HeaderName = Annotated[str, Check(values.header_name)]
HeaderValue = Annotated[str, Check(values.header_value)]
Selector = Annotated[str, Check(values.selector)]
Words = Annotated[tuple[str, ...], Check(values.words)]
Service = Annotated[str, Check(values.service)]
Namespaces = Annotated[tuple[str, ...], Check(values.namespaces)]
Ratio = Annotated[float, Check(values.ratio)]
Regex = Annotated[str, Check(values.regex)]


class Section:
    """A table of the settings file; unknown keys are mistakes, and nothing changes after the start."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True)
class Cluster(Section):
    """Which cluster, and what of it."""

    context: Annotated[Text | None, Mark(metavar="NAME")] = None
    """The kubeconfig's context to use; by default its current one."""

    kubeconfig: Annotated[FilePath | None, Mark(metavar="FILE")] = None
    """The kubeconfig; by default what KUBECONFIG names, else ~/.kube/config, else the pod's own account."""

    namespaces: Annotated[Namespaces, Mark(short="-n", metavar="NS", group="What to show")] = ()
    """Namespace to watch; by default all, or the context's own where listing all is forbidden."""

    all_namespaces: Annotated[Switch, Mark(short="-A", group="What to show")] = False
    """Watch all namespaces, whatever a weaker source says of `namespaces`."""

    selector: Annotated[Selector | None, Mark(short="-l", metavar="LABELS", group="What to show")] = None
    """Only pods with these labels, as kubectl writes them: app=shop,tier!=cache."""


@dataclass(frozen=True)
class Observe(Section):
    """How often, how long, and from where on it matters."""

    interval: Annotated[float, Check(_interval), Mark(metavar="TIME", unit="s")] = 15.0
    """Time between two readings of the metrics, 1s to 1h. Metrics servers measure every 15 to 60 s."""

    history: Annotated[float, Check(_history), Mark(metavar="TIME", unit="h")] = 24.0
    """How long samples are kept for trends and verdicts, 15m to 7d; a bare number counts hours."""

    warn_ratio: Annotated[Ratio, Mark(metavar="SHARE", unit="%")] = 0.70
    """Share of the limit from which memory is shown as high: 70%, 70 or 0.7."""

    critical_ratio: Annotated[Ratio, Mark(metavar="SHARE", unit="%")] = 0.90
    """Share of the limit from which memory is shown as critical."""

    keep_history: Switch = True
    """Keep samples on disk between runs, in the state folder, bounded."""


@dataclass(frozen=True)
class Prometheus(Section):
    """Where the longer past comes from."""

    enabled: Switch = True
    """Ask Prometheus for the past; without it only what memtop saw itself counts."""

    url: Annotated[Url | None, Mark(metavar="URL")] = None
    """Address of Prometheus, Thanos, VictoriaMetrics or Mimir; by default it is looked for."""

    service: Annotated[Service | None, Mark(metavar="NS/NAME")] = None
    """Service of Prometheus in the cluster; headers and login go only to it, or to the URL."""

    headers: Annotated[dict[HeaderName, HeaderValue], Check(_headers), Mark(metavar="NAME=VALUE")] = field(
        default_factory=dict, repr=False
    )
    """Header to send to Prometheus, such as X-Scope-OrgID=team."""

    username: Annotated[Text | None, Mark(metavar="NAME")] = None
    """User name for basic authentication."""

    password: Annotated[Text | None, Mark(secret=True)] = field(default=None, repr=False)
    """Password for basic authentication."""

    bearer_token: Annotated[Text | None, Mark(secret=True)] = field(default=None, repr=False)
    """Bearer token for Prometheus."""

    bearer_token_file: Annotated[FilePath | None, Mark(metavar="FILE")] = None
    """File with a bearer token for Prometheus, read again when it changes."""

    namespaces: Annotated[Namespaces, Mark(metavar="NS")] = ("monitoring", "observability", "prometheus")
    """Namespace to look for Prometheus in where listing all services is forbidden."""

    metric: Literal["rss", "working_set", "usage"] = "rss"
    """Memory that verdicts are computed on. The limit is always compared with the working set."""

    timeout: Annotated[float, Check(_timeout), Mark(metavar="TIME", unit="s")] = 10.0
    """Longest wait for an answer of Prometheus."""


@dataclass(frozen=True)
class Logs(Section):
    """How logs are searched."""

    presets: Annotated[dict[str, Regex], Check(_presets), Mark(metavar="NAME=REGEX")] = field(
        default_factory=DEFAULT_PRESETS.copy
    )
    """Regular expression under a name, to search logs for; adds to the built-in presets or replaces one."""


@dataclass(frozen=True)
class Safety(Section):
    """What memtop may change."""

    read_only: Switch = False
    """Never change anything in the cluster."""

    protected_contexts: Annotated[Words, Mark(metavar="PATTERN")] = ("*prod*",)
    """Contexts (patterns with * and ?) where a change needs the workload's name typed in full."""


@dataclass(frozen=True)
class Watch(Section):
    """What happens when the verdict on a change becomes another one."""

    command: Annotated[Text | None, Mark(metavar="COMMAND")] = None
    """Command to run when a verdict on a change becomes another; MEMTOP_VERDICT and others tell it more."""

    bell: Switch = False
    """Ring the terminal's bell then."""


@dataclass(frozen=True)
class Ui(Section):
    """What the screen looks like."""

    theme: Annotated[Text, Mark(metavar="NAME")] = "textual-dark"
    """Colour theme."""

    symbols: Literal["braille", "block", "ascii"] = "braille"
    """What graphs are drawn with."""


@dataclass(frozen=True)
class Demo(Section):
    """The embedded cluster that --demo opens."""

    pods: Annotated[int, Check(values.between(1, 100_000, whole=True)), Mark(metavar="N")] = 60
    """Number of pods in the demo cluster."""

    speed: Annotated[float, Check(values.between(0.01, 100_000)), Mark(metavar="N")] = 1.0
    """How fast its time passes: at 60 an hour takes a minute."""

    seed: Annotated[int, Check(values.between(0, 2**31, whole=True)), Mark(metavar="N")] = 7
    """The same seed makes the same cluster."""

    churn: Annotated[float, Check(values.between(0, 10_000)), Mark(metavar="N")] = 0.0
    """Pod changes a second, beside what its pods do by themselves."""


@dataclass(frozen=True)
class Settings:
    """All settings; what is not given has its default."""

    cluster: Cluster = Cluster()
    observe: Observe = Observe()
    prometheus: Prometheus = Prometheus()
    logs: Logs = Logs()
    safety: Safety = Safety()
    watch: Watch = Watch()
    ui: Ui = Ui()
    demo: Demo = Demo()
