"""The Describe tab: the pod, its workload or its node as kubectl describes them, kept up to date."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from memtop.cluster.describe.document import document
from memtop.cluster.describe.gather import Known, follow
from memtop.cluster.describe.moment import Moment
from memtop.cluster.errors import Unreachable
from memtop.cluster.refs import ObjectRef
from memtop.cluster.tree import text
from memtop.cluster.yaml_view import yaml_lines
from memtop.observe.frame import Frame, WorkloadKey
from memtop.observe.identity import Key
from tui.pod.reading import described_line, yaml_line
from tui.pod.tab import Ask, PodTab, Subject
from widgets.filter_bar import FilterBar
from widgets.one_line import OneLine
from widgets.palette import Symbols
from widgets.text_view import TextView

AGES_SECONDS = 10.0
"""How often the ages in the text are brought up to date, seconds of the cluster's clock."""


def reference(subject: Subject) -> ObjectRef:
    """The pod or the workload that the pod screen is about."""
    key = subject.key
    if isinstance(key, WorkloadKey):
        return ObjectRef(key.workload.kind, key.namespace, key.workload.name)
    uid = key.uid if isinstance(key, Key) else ""
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
    DescribeTab.-searching FilterBar { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yaml", "YAML"),
        Binding("O", "other", "Owner, node"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "match(1)", "Next", show=False),
        Binding("N", "match(-1)", "Previous", show=False),
        Binding("escape", "end_search", show=False),
    ]

    class Told(Message):
        """The cluster has told what an object is like now, or why it cannot."""

        def __init__(self, ref: ObjectRef, known: Known | str) -> None:
            super().__init__()
            self.ref = ref
            self.known = known

    def __init__(self, subject: Subject, ask: Ask, symbols: Symbols) -> None:
        super().__init__(subject, ask)
        self._refs = [reference(subject)]
        self._at = 0
        self._known: Known | None = None
        self._trouble = ""
        self._as_yaml = False
        self._search_from = 0
        self._now = time.time()
        self._written_at = 0.0
        ascii_only = symbols == "ascii"
        self.caption = OneLine()
        self.view = TextView(ascii_only=ascii_only)
        self.bar = FilterBar("/", hint="text to look for")

    def compose(self) -> ComposeResult:
        """What is described, the text, the line one types a search into."""
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
        if self._known is not None and abs(self._now - self._written_at) >= AGES_SECONDS:
            self._write()

    # -- what the cluster tells

    @work(exclusive=True, group="describe")
    async def _follow(self, ref: ObjectRef) -> None:
        try:
            future = self.ask(partial(follow, ref=ref, publish=partial(self._tell, ref)))
            await asyncio.wrap_future(future)
        except Unreachable as error:
            self._tell(ref, str(error))

    def show_failure(self, sentence: str) -> None:
        """Says why the object is not followed any more."""
        self._tell(self._refs[self._at], sentence)

    def _tell(self, ref: ObjectRef, known: Known | str) -> None:
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
            self._refs = [self._refs[0], *_around(message.known)]
        self._write()

    def _write(self) -> None:
        if self._known is None:
            return
        self._written_at = self._now
        if self._as_yaml:
            self.view.show([yaml_line(line) for line in yaml_lines(self._known.object)])
        else:
            self.view.show([described_line(line) for line in document(self._known, Moment(self._now))])
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
        self.caption.say(line, right)

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

    def action_search(self) -> None:
        """Opens the line one types a search into."""
        self._search_from = self.view.top
        self.add_class("-searching")
        self.bar.open()

    def action_match(self, step: int) -> None:
        """Goes to the next match, or the one before."""
        if self.view.next_match(step) is None:
            self.notify("Press / and type what to look for")
        self._say_caption()

    def action_end_search(self) -> None:
        """Takes the marks of the search away."""
        self.view.search("")
        self._say_caption()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaves escape to the screen while nothing is searched for."""
        return self.view.match is not None if action == "end_search" else True

    @on(FilterBar.Changed)
    def _typing(self, event: FilterBar.Changed) -> None:
        event.stop()
        found = self.view.search(event.text, self._search_from)
        self.bar.problem = "" if found or not event.text else f"{event.text!r} is nowhere in it"
        self._say_caption()

    @on(FilterBar.Submitted)
    @on(FilterBar.Closed)
    def _typed(self, event: Message) -> None:
        event.stop()
        self.remove_class("-searching")
        self.view.focus()
        self._say_caption()


def _around(known: Known) -> list[ObjectRef]:
    """Where one can go from an object: to its workload and to its node."""
    node = text(known.object, "spec", "nodeName") if known.ref.kind == "Pod" else ""
    return [*known.around.owners[-1:], *([ObjectRef("Node", "", node)] if node else [])]
