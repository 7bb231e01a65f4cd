"""The Describe tab: the pod, its workload or its node as kubectl describes them, kept up to date."""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from memtop.describe.description import description_lines
from memtop.describe.description_facts import DescribedObject, follow_object
from memtop.describe.formatting import ZonedNow
from memtop.kube.api_errors import Unreachable
from memtop.kube.json_object import text, yaml_lines
from memtop.kube.object_ref import ObjectRef
from memtop.observe.frame import Frame, WorkloadKey
from memtop.observe.slots import ContainerKey
from tui.pod.tab import AskCluster, PodTab, TabSubject
from widgets.key_and_filter_bars import FilterBar
from widgets.line_widget import OneLine
from widgets.styled_text import Symbols
from widgets.text_view import TextView

_DESCRIBED_FIELD = re.compile(r"(?P<space>\s*)(?P<name>[^\s:][^:]{0,60}:)(?P<gap>\s{2,}|$)(?P<value>.*)")
_YAML_FIELD = re.compile(r"(?P<space>\s*(?:- )*)(?P<name>[^\s#:'\"][^:]{0,120}:)(?P<gap> |$)(?P<value>.*)")
_WRONG_WORDS = re.compile(
    r"\b(?:OOMKilled|OOMKilling|SystemOOM|CrashLoopBackOff|ImagePullBackOff|ErrImage\w+|Evicted|Error|Failed|"
    r"Unhealthy|BackOff|FailedScheduling|ProgressDeadlineExceeded|MinimumReplicasUnavailable|"
    r"KubeletHasInsufficientMemory|not scheduled)\b"
)
_OOM_WORDS = re.compile(r"\b(?:OOMKilled|OOMKilling|SystemOOM)\b|\bMemoryPressure +True\b")
_EXIT_CODE = re.compile(r"\bExit Code: +([1-9]\d*)")
_WARNING_EVENT = re.compile(r"^ {2}Warning\b")


def coloured_description(line: str) -> Text:
    """Colours one line of a description; the styles are roles."""
    text = Text(line)
    field = _DESCRIBED_FIELD.match(line)
    if field is not None:
        heading = not field["space"] and not field["value"]
        text.stylize("title" if heading else "primary", *field.span("name"))
    for pattern, role in ((_WRONG_WORDS, "warn"), (_OOM_WORDS, "critical"), (_WARNING_EVENT, "warn")):
        for match in pattern.finditer(line):
            text.stylize(role, *match.span())
    code = _EXIT_CODE.search(line)
    if code is not None:
        text.stylize("critical", *code.span(1))
    return text


def coloured_yaml(line: str) -> Text:
    """Colours one line of YAML; the styles are roles."""
    text = Text(line)
    if line.lstrip().startswith("#"):
        return Text(line, "dim")
    field = _YAML_FIELD.match(line)
    if field is not None:
        text.stylize("primary", *field.span("name"))
    for match in _OOM_WORDS.finditer(line):
        text.stylize("critical", *match.span())
    return text


AGE_REFRESH_SECONDS = 10.0
"""How often the ages in the text are brought up to date, seconds of the cluster's clock."""


def subject_ref(subject: TabSubject) -> ObjectRef:
    """The pod or the workload that the pod screen is about."""
    key = subject.key
    if isinstance(key, WorkloadKey):
        owner = key.workload
        return ObjectRef(owner.kind, key.namespace, owner.name, api_version=owner.api_version)
    uid = key.uid if isinstance(key, ContainerKey) else ""
    return ObjectRef("Pod", subject.namespace, subject.pod, uid)


class DescribeTab(PodTab):
    """What ``kubectl describe`` says, with what matters for memory first; or the YAML.

    Args:
        subject: What the pod screen is about.
        ask: Does something with the cluster.
        symbols: Which characters marks are drawn with.
    """

    NAME = "Describe"
    KEY = "d"
    DEFAULT_CSS = """
    DescribeTab FilterBar { display: none; }
    DescribeTab.-filtering FilterBar { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yaml", "YAML"),
        Binding("O", "other", "Owner, node"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("n", "match(1)", "Next", show=False),
        Binding("N", "match(-1)", "Previous", show=False),
        Binding("escape", "end_filter", show=False),
    ]

    class Told(Message):
        """The cluster has told what an object is like now, or why it cannot."""

        def __init__(self, ref: ObjectRef, known: DescribedObject | str) -> None:
            super().__init__()
            self.ref = ref
            self.known = known

    def __init__(self, subject: TabSubject, ask: AskCluster, symbols: Symbols) -> None:
        super().__init__(subject, ask)
        self._refs = [subject_ref(subject)]
        self._at = 0
        self._known: DescribedObject | None = None
        self._trouble = ""
        self._as_yaml = False
        self._filter_from = 0
        self._now = time.time()
        self._written_at = 0.0
        ascii_only = symbols == "ascii"
        self.caption = OneLine()
        self.view = TextView(ascii_only=ascii_only)
        self.bar = FilterBar("/", hint="text; only the lines with it are shown")

    def compose(self) -> ComposeResult:
        """What is described, the text, the line one types a filter into."""
        yield self.caption
        yield self.view
        yield self.bar

    def focus(self, scroll_visible: bool = True) -> DescribeTab:
        """Gives the keys to the text."""
        self.view.focus(scroll_visible)
        return self

    def opened(self) -> None:
        """Begins to follow the object."""
        if self._known is None:
            self.view.clear(f"Asking for {self._refs[self._at]} …")
        self._say_caption()
        self._follow(self._refs[self._at])

    def show(self, frame: Frame) -> None:
        """Brings the ages up to date now and then."""
        self._now = frame.time
        if self._known is not None and abs(self._now - self._written_at) >= AGE_REFRESH_SECONDS:
            self._write()

    # -- what the cluster tells

    @work(exclusive=True, group="describe")
    async def _follow(self, ref: ObjectRef) -> None:
        try:
            future = self.ask(partial(follow_object, ref=ref, publish=partial(self._tell, ref)))
            await asyncio.wrap_future(future)
        except Unreachable as error:
            self._tell(ref, str(error))

    def show_failure(self, sentence: str) -> None:
        """Says why the object is not followed any more."""
        self._tell(self._refs[self._at], sentence)

    def _tell(self, ref: ObjectRef, known: DescribedObject | str) -> None:
        """Called on the engine's thread."""
        self.post_message(self.Told(ref, known))

    def on_describe_tab_told(self, message: Told) -> None:
        """Shows the object as it is now; what was told of another one comes too late."""
        message.stop()
        if message.ref != self._refs[self._at]:
            return
        if isinstance(message.known, str):
            self._trouble = message.known
            if self._known is None:
                self.view.show([Text(message.known, "warn")])
            self._say_caption()
            return
        self._known, self._trouble = message.known, ""
        if self._at == 0:
            self._refs = [self._refs[0], *_linked_objects(message.known)]
        self._write()

    def _write(self) -> None:
        if self._known is None:
            return
        self._written_at = self._now
        if self._as_yaml:
            self.view.show([coloured_yaml(line) for line in yaml_lines(self._known.object)])
        else:
            self.view.show(
                [coloured_description(line) for line in description_lines(self._known, ZonedNow(self._now))]
            )
        self._say_caption()

    def _say_caption(self) -> None:
        ref = self._refs[self._at]
        where = f"{ref.namespace}/" if ref.namespace else ""
        line = Text(f" {ref.kind} ", "strong").append(f"{where}{ref.name}")
        if self._as_yaml:
            line.append("  YAML", "accent")
        if self._trouble and self._known is not None:
            line.append(f"  what is shown is old: {self._trouble}", "warn")
        right = Text()
        if self.view.match is not None:
            number, count = self.view.match
            right.append(f"{number} of {count} " if count else "not found ", "accent" if count else "warn")
        elif len(self._refs) > 1:
            after = self._refs[(self._at + 1) % len(self._refs)]
            right.append(f"O: {after} ", "dim")
        self.caption.show_text(line, right)

    # -- keys

    def action_yaml(self) -> None:
        """Changes between the description and the YAML."""
        self._as_yaml = not self._as_yaml
        self._write()
        self.view.action_scroll_to(0)
        self._say_caption()

    def action_other(self) -> None:
        """Describes the workload, then the node, then the pod again."""
        if len(self._refs) == 1:
            self.notify("There is no owner and no node to go to" if self._known else "Nothing is known yet")
            return
        self._at = (self._at + 1) % len(self._refs)
        self._known, self._trouble = None, ""
        self.view.clear(f"Asking for {self._refs[self._at]} …")
        self._say_caption()
        self._follow(self._refs[self._at])

    def action_filter(self) -> None:
        """Opens the line one types a filter into."""
        self._filter_from = self.view.top
        self.add_class("-filtering")
        self.bar.open()

    def action_match(self, step: int) -> None:
        """Goes to the next match, or the one before."""
        if self.view.next_match(step) is None:
            self.notify("Press / and type what to look for")
        self._say_caption()

    def action_end_filter(self) -> None:
        """Shows all lines again."""
        self.view.filter("")
        self._say_caption()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaves escape to the screen while there is no filter."""
        return self.view.match is not None if action == "end_filter" else True

    @on(FilterBar.Changed)
    def _typing(self, event: FilterBar.Changed) -> None:
        event.stop()
        found = self.view.filter(event.text, self._filter_from)
        self.bar.problem = "" if found or not event.text else f"{event.text!r} is nowhere in it"
        self._say_caption()

    @on(FilterBar.Submitted)
    @on(FilterBar.Closed)
    def _typed(self, event: Message) -> None:
        event.stop()
        self.remove_class("-filtering")
        self.view.focus()
        self._say_caption()


def _linked_objects(known: DescribedObject) -> list[ObjectRef]:
    """Where one can go from an object: to its workload and to its node."""
    node = text(known.object, "spec", "nodeName") if known.ref.kind == "Pod" else ""
    return [*known.surroundings.owners[-1:], *([ObjectRef("Node", "", node)] if node else [])]
