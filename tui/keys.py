"""The keys of every screen: their bindings, and their words for the help screen."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

from tui.live_screen import HelpKey, KeyGroup

CHANGE_BINDINGS: Final[list[BindingType]] = [
    Binding("i", "app.change('image')", "Image"),
    Binding("M", "app.change('memory')", "Limit"),
    Binding("R", "app.change('restart')", "Restart"),
    Binding("u", "app.change('undo')", "Undo"),
    Binding("o", "app.change('rollout')", "Rollout"),
    Binding("b", "app.change('stabilisation')", "Did it help?"),
    Binding("number_sign", "app.change('scale')", "Scale", key_display="#", show=False),
    Binding("ctrl+d", "app.change('delete')", "Delete the pod", show=False),
    Binding("P", "app.change('pause')", "Pause or resume", show=False),
    Binding("W", "app.change('workload')", "Workload", show=False),
    Binding("L", "app.change('timeline')", "Timeline", show=False),
    Binding("A", "app.change('alerts')", "Alert rules", show=False),
]
"""For every screen that is about a workload, beside its other bindings."""

REPORT_BINDINGS: Final[list[BindingType]] = [
    Binding("ctrl+s", "app.change('report')", "Report", show=False),
]
"""For every screen of an incident that has no report of its own."""

CHANGE_TITLES: Final = {
    "image": "Set the image",
    "memory": "Set the memory limit and request",
    "restart": "Restart, pod by pod",
    "undo": "Undo: back to an earlier revision",
    "scale": "Scale: set the number of pods",
    "delete": "Delete the pod",
    "pause": "Pause its rollouts, or resume them",
}
"""Each change in words, for the command palette."""
MARKED_TITLES: Final = {
    "memory": "Set the memory of all marked rows",
    "restart": "Restart the workloads of all marked rows",
    "delete": "Delete all marked pods",
}
"""What can be done with several rows at once."""
FOLLOW_TITLES: Final = {
    "rollout": "Status of its rollout",
    "canary": "Canary: old and new pods of the rollout over the same minutes",
    "stabilisation": "Stabilisation: did the last change help?",
    "workload": "The workload: its pods and revisions",
    "report": "Report: write the incident down, as Markdown and HTML",
    "timeline": "Timeline: since when does it leak, and what changed then?",
    "alerts": "Alert rules for it, tested on its past",
}
"""What follows a change or shows what it is about, likewise."""

CHANGE_GROUP: Final = KeyGroup(
    "Change the workload: a plan first, then a yes or a no",
    (
        HelpKey("i", "set the image of a container; earlier revisions' images are offered"),
        HelpKey("M", "set memory limit and request: of the template, or of a pod in place"),
        HelpKey("R", "restart it, pod by pod"),
        HelpKey("u", "undo: back to an earlier revision"),
        HelpKey("#", "scale: the number of pods"),
        HelpKey("ctrl+d", "delete the pod"),
        HelpKey("P", "pause its rollouts, or resume them"),
    ),
)
FOLLOW_GROUP: Final = KeyGroup(
    "Follow it",
    (
        HelpKey("W", "the workload: its pods, its revisions, their growth"),
        HelpKey("o", "status of its rollout, live"),
        HelpKey("b", "stabilisation: did the last change help?"),
        HelpKey("ctrl+s", "write a report of the incident, Markdown and HTML, into the present folder"),
        HelpKey("L", "timeline: since when does it leak, what changed then, and the likely cause"),
        HelpKey("A", "alert rules for it or its namespace, tested on the cluster's own past"),
    ),
)

OVERVIEW_BINDINGS: Final[list[BindingType]] = [
    Binding("question_mark", "app.help", "Help", key_display="?"),
    Binding("q", "app.quit", "Quit"),
    *CHANGE_BINDINGS,
    *REPORT_BINDINGS,
    Binding("tab", "pane(1)", "Pane", priority=True),
    Binding("shift+tab", "pane(-1)", "Previous pane", show=False, priority=True),
    Binding("slash", "filter", "Filter", key_display="/", priority=True),
    Binding("enter", "enter", "Open", priority=True),
    Binding("n", "app.namespace", "Namespace"),
    Binding("w", "workloads", "Workloads"),
    Binding("s", "sort(1)", "Sort"),
    Binding("z", "zoom", "Zoom"),
    Binding("space", "freeze", "Freeze"),
    Binding("m", "mark", "Mark"),
    Binding("shift+down", "mark_further(1)", "Mark downwards", show=False),
    Binding("shift+up", "mark_further(-1)", "Mark upwards", show=False),
    Binding("c", "app.context", "Context"),
    Binding("l", "app.open('Logs')", "Logs"),
    Binding("p", "app.open('Previous')", "Previous"),
    Binding("d", "app.open('Describe')", "Describe"),
    Binding("e", "app.open('Events')", "Events"),
    Binding("t", "app.open('Trend')", "Trend"),
    Binding("h", "app.open('heap')", "Heap"),
    Binding("x", "app.open('shell')", "Shell"),
    Binding("B", "app.open('Memory')", "Memory by kind", show=False),
    Binding("X", "app.open('command')", "Command", show=False),
    Binding("Y", "app.open('Why')", "Why: likely causes", show=False),
    Binding("S", "reverse", "Reverse the order", key_display="S", show=False),
    Binding("plus,equals_sign", "app.interval(1)", "Ask less often", key_display="+", show=False),
    Binding("minus", "app.interval(-1)", "Ask more often", key_display="-", show=False),
    Binding("r", "app.retry", "Ask again now", show=False),
    Binding("f", "next_count", "Only what the header counts", show=False),
    Binding("escape", "clear_filter", "Unmark, clear filter", show=False),
]
OVERVIEW_BAR: Final = tuple(binding.key for binding in OVERVIEW_BINDINGS if isinstance(binding, Binding))
"""The order of the bar at the bottom: a narrow one keeps help, quit and the keys of an incident."""

OVERVIEW_GROUPS = (
    KeyGroup(
        "Look",
        (
            HelpKey("tab  shift+tab", "next pane, previous pane"),
            HelpKey("↑ ↓  j k", "move; pgup pgdn, g and G go further"),
            HelpKey("enter", "open the selected row"),
            HelpKey("w", "one row per workload, or per container"),
            HelpKey("z", "the active pane alone, or all of them"),
            HelpKey("space", "freeze the tables while you read; the clock goes on"),
            HelpKey("m  shift+↑ ↓", "mark rows; R, ctrl+d and M then act on all that are marked"),
        ),
    ),
    KeyGroup(
        "Open the selected row at once with",
        (
            HelpKey("l  p", "its log, the log before it crashed"),
            HelpKey("d  e", "its description, its events"),
            HelpKey("t  B  Y", "its memory over time, its memory by kind, why: the likely causes"),
            HelpKey("h  x  X", "what grew or a heap capture, a shell, one command"),
        ),
    ),
    KeyGroup(
        "Find",
        (
            HelpKey("/", "filter: text, !text, label=value, namespace=value, is=leaking; all must hold"),
            HelpKey("f", "only what the header counts: leaking, near limit, OOM-killed … (or click a count)"),
            HelpKey("esc", "unmark all; clear the filter; leave the zoom"),
            HelpKey("s  S", "sort by the next column; turn the order round (or click a title)"),
            HelpKey("n", "namespace"),
            HelpKey("c", "context"),
        ),
    ),
    KeyGroup(
        "Columns",
        (
            HelpKey("1H  2+", "restarts in the last hour; 2+ where not all of it was watched"),
            HelpKey("PRESSURE", "share of the last 5 min in which some process waited for memory"),
            HelpKey("WORST", "of a workload: the container nearest to its limit"),
        ),
    ),
    KeyGroup(
        "memtop",
        (
            HelpKey("+  -", "ask for the metrics less often, more often"),
            HelpKey("r", "ask again now"),
            HelpKey("ctrl+p", "all commands"),
            HelpKey("q", "quit"),
            HelpKey("ctrl+l", "draw the screen anew, where something else has written on it"),
        ),
    ),
    CHANGE_GROUP,
    FOLLOW_GROUP,
)

DESCRIBE_GROUP = KeyGroup(
    "Describe",
    (
        HelpKey("y", "YAML, with the managed fields folded away; the description again"),
        HelpKey("O", "the workload that owns the pod, its node, the pod again"),
        HelpKey(
            "/  n N  esc",
            "filter: only lines with a text, under their headings; next and previous match; all lines",
        ),
        HelpKey("w  ← →", "wrap long lines; scroll sideways"),
    ),
)
EVENTS_GROUP = KeyGroup(
    "Events",
    (
        HelpKey("m", "only what was said of memory, or everything"),
        HelpKey("enter", "on the line of other pods' OOM kills: each of them, or one line again"),
        HelpKey("g  1 2 3 4", "range of the time axis: 1 h, 6 h, 24 h, 7 d"),
    ),
)

LOG_GROUP = KeyGroup(
    "Logs",
    (
        HelpKey("m", "show what speaks of memory: presets, each with its number of matches"),
        HelpKey("/", "filter: only lines that match a regular expression; capital letters make case matter"),
        HelpKey("v  C", "the other lines instead; lines around each match: 0, ±2, ±5, ±10, all"),
        HelpKey("n  N", "next match, match before"),
        HelpKey("f  G", "stop at this place or follow; go to the newest line"),
        HelpKey("T", "time of each line; hidden at first where the log has its own"),
        HelpKey("w  ← →", "wrap long lines; scroll sideways"),
        HelpKey("[  ]", "container; after the last all of them, interleaved"),
        HelpKey("1 2 3 4  0", "the last 5 min, 1 h, 6 h, 24 h; all there is"),
        HelpKey("J", "jump to a time: 14:05, 2026-11-22T14:05, 14:05Z, -10m"),
        HelpKey("ctrl+s", "save what is shown to a file"),
        HelpKey("r  esc", "read it again; clear the filter"),
    ),
)

EXEC_GROUP = KeyGroup(
    "Inside the container",
    (
        HelpKey("B", "memory by kind: heap or page cache? r asks again"),
        HelpKey("x", "a shell; exit or ctrl-d comes back to this screen"),
        HelpKey("X", "one command, as kubectl exec runs it"),
        HelpKey("h", "heap capture: a plan with its risks first, then a yes or a no"),
    ),
)

ROLLOUT_HELP = (
    KeyGroup(
        "Rollout",
        (
            HelpKey("u", "undo: back to the revision before, after a plan and a yes"),
            HelpKey("P", "pause it, or resume it"),
            HelpKey("v", "canary: old and new pods over the same minutes, side by side"),
            HelpKey("b", "stabilisation: has the change helped, and does it last?"),
            HelpKey("i M R #", "another image, another limit, a restart, another number of pods"),
            HelpKey("ctrl+d", "delete the pod under the cursor"),
            HelpKey("W", "the workload: its pods, its revisions, their growth"),
            HelpKey("enter", "open a pod: its log, the log before it crashed, its events"),
            HelpKey("ctrl+s", "write a report of the incident into the present folder"),
            HelpKey("esc", "back; the rollout goes on, and the header says how far it is"),
        ),
    ),
    KeyGroup(
        "What it says",
        (
            HelpKey("the sentence", "is that of kubectl rollout status"),
            HelpKey("the bar", "full: new pods that are ready; half: made, not ready yet"),
            HelpKey("updated", "pods of the new revision, ready or not"),
            HelpKey("available", "pods of any revision that have been ready for long enough"),
            HelpKey("✖", "takes somebody to do something"),
            HelpKey("!", "may pass by itself"),
        ),
    ),
)

CANARY_HELP = (
    KeyGroup(
        "Old and new pods side by side",
        (
            HelpKey("[  ]", "another container of the pods"),
            HelpKey("o", "status of the rollout, live"),
            HelpKey("b", "stabilisation: has the change helped, and does it last?"),
            HelpKey("u  P", "undo it; pause it, or resume it"),
            HelpKey("r", "ask again now"),
            HelpKey("esc", "back; the rollout goes on as it is"),
        ),
    ),
    KeyGroup(
        "What it says",
        (
            HelpKey("the same …", "the minutes since the first new pod started, of both sides"),
            HelpKey("too early", "what is missing, and how much longer that takes at the old rate"),
            HelpKey("age", "of the median pod: compare slopes rather than levels where these differ"),
            HelpKey("traffic", "requests that a pod answers, else bytes that it receives"),
        ),
    ),
)

STABILISATION_HELP = (
    KeyGroup(
        "Did it help?",
        (
            HelpKey("g", "range of the graph: around the change, 1 h, 6 h, 24 h, 7 d"),
            HelpKey("a", "lay containers over one another by their age, or show them by the clock"),
            HelpKey("v", "compare with another earlier revision: one that leaked, if this one ran briefly"),
            HelpKey("[  ]", "another container of the pods"),
            HelpKey("ctrl+s", "write a report (Markdown) to a new file in the present folder"),
            HelpKey(
                "esc", "back; it goes on watching, the header says how it stands, and a new verdict rings"
            ),
            HelpKey("X", "back, and watch no more"),
        ),
    ),
    KeyGroup(
        "The verdicts",
        (
            HelpKey("watching", "too early: it says how much longer, and why"),
            HelpKey("holding", "the old growth would have shown by now, and has not"),
            HelpKey("still leaking", "the new pods grow too, or die of it"),
            HelpKey("only postponed", "as before, but the limit is higher"),
            HelpKey("worse", "grows or dies faster than before"),
        ),
    ),
    CHANGE_GROUP,
)

TIMELINE_HELP = (
    KeyGroup(
        "Since when?",
        (
            HelpKey("g", "range of the graph: all that is known, around the onset, 6 h, 24 h, 7 d"),
            HelpKey("↑ ↓", "move through what changed, the revisions and the causes"),
            HelpKey("[  ]", "another container of the pods"),
            HelpKey("ctrl+s", "write it (Markdown) to a new file in the present folder"),
            HelpKey("r", "ask again now"),
            HelpKey("esc", "back"),
        ),
    ),
    KeyGroup(
        "What it says",
        (
            HelpKey("±", "half the width of the onset's 95 % interval"),
            HelpKey("began", "the floor bent upwards then, across restarts and revisions"),
            HelpKey("since before", "it climbed already where what is known begins"),
        ),
    ),
    CHANGE_GROUP,
)

ALERTS_HELP = (
    KeyGroup(
        "Alert rules",
        (
            HelpKey("↑ ↓", "the rule that is told in full below: its pages, its expression, its words"),
            HelpKey("t", "thresholds learned from what was healthy, or those of the settings"),
            HelpKey("n", "rules for the workload alone, or for all of its namespace"),
            HelpKey("g", "how far back they are tested: 1 d, 7 d, 30 d"),
            HelpKey("a", "put them into the cluster: a plan first, then a yes or a no"),
            HelpKey("u", "undo: a plan of the way back from the rules applied last"),
            HelpKey("F", "write them and their promtool tests to new files in the present folder"),
            HelpKey("tab", "scroll what is told of the rule"),
            HelpKey("r", "ask again now"),
            HelpKey("esc", "back"),
        ),
    ),
    KeyGroup(
        "What it says",
        (
            HelpKey("in vain", "no OOM kill followed within a day, and memtop sees no leak in it"),
            HelpKey("kills announced", "OOM kills before which it would have paged"),
            HelpKey("ahead", "how long before the kill, in the middle one of them"),
            HelpKey("!", "it would have paged in vain more than once a day"),
        ),
    ),
)

WORKLOAD_GROUP = KeyGroup(
    "Workload",
    (
        HelpKey("W", "its pods and revisions; from a pod, the workload that it belongs to"),
        HelpKey("enter", "open the pod"),
        HelpKey("tab", "pods, revisions"),
        HelpKey("a", "advice on its memory: sizes, runtime flags, a dump, code; enter plans one"),
    ),
)
