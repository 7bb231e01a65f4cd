"""The Advice tab: by its key on the embedded cluster, and a proposal in full."""

from __future__ import annotations

from memtop.advice.proposals import Proposal
from memtop.change.change_request import SetMemory
from memtop.demo.thread import DemoThread
from memtop.kube.object_ref import ObjectRef
from tests.api import Api
from tests.tui.conftest import Serve
from tui.pod.advice_tab import PROPOSAL_COLUMNS, ProposalRows, proposal_text
from widgets.confirm import ConfirmDialog
from widgets.table_parts import place_columns

APP = "/apis/apps/v1/namespaces/production/deployments/user-service"
REF = ObjectRef("Deployment", "shop", "cart")
SIZES = Proposal(
    "sizes",
    "app",
    "limit 512 MiB, request 256 MiB",
    "Highest memory 430 MiB.",
    "working set from Prometheus",
    "not yet sure: 3 d seen; 7 days wanted",
    SetMemory(REF, "app", "512Mi", "256Mi"),
)
CACHE = Proposal(
    "cache", "app", "bound every cache", "Its floor rises.", code="cache = LRU(1000)\ncache.clear()"
)


async def test_the_key_gives_advice_and_enter_plans_it(serve: Serve) -> None:
    """A leak is not sized; a dump for the JVM is planned, and set after a yes."""
    with DemoThread(pods=20) as demo:
        env = [{"name": "JAVA_TOOL_OPTIONS", "value": "-Dnothing=1"}]
        template = {"spec": {"containers": [{"name": "user-service", "env": env}]}}
        Api(demo).change(APP, {"spec": {"template": template}})
        async with serve(demo, namespaces=("production",), size=(140, 44)) as stage:
            await stage.select("user-service", workload=True)
            await stage.press("enter", "a")
            await stage.shows("no size can be given", "buys", "how sure")
            rows = [line for line in stage.lines if line.startswith("user-service ")]
            place = next(at for at, line in enumerate(rows) if " dump " in line)
            await stage.press(*["down"] * place)
            await stage.shows("enter plans it")
            await stage.press("enter")
            await stage.until(lambda: isinstance(stage.app.screen, ConfirmDialog), "the plan")
            await stage.shows("HeapDumpPath=/dumps", "Cancel")
            await stage.press("y")

            def is_set() -> bool:
                spec = Api(demo).get(APP).json["spec"]["template"]["spec"]
                return "HeapDumpPath=/dumps" in str(spec["containers"])

            await stage.until(is_set, "the change")


def test_a_proposal_says_why_on_what_evidence_how_sure_and_which_key_plans_it() -> None:
    lines = [line.plain.strip() for line in proposal_text(SIZES, 100)]
    assert lines == [
        "Limit 512 MiB, request 256 MiB",
        "why       Highest memory 430 MiB.",
        "evidence  working set from Prometheus",
        "how sure  not yet sure: 3 d seen; 7 days wanted",
        "change    enter plans it: Set memory limit and request of cart; nothing is changed before a yes",
    ]
    lines = [line.plain for line in proposal_text(CACHE, 100)]
    assert lines[-2:] == ["     cache = LRU(1000)", "     cache.clear()"]
    assert not any("plans it" in line for line in lines)


def test_names_of_others_are_not_interpreted() -> None:
    """A container's name comes from the cluster."""
    hostile = Proposal("sizes", "[red]\x1b[31mapp", "keep", "why")
    cells = ProposalRows((hostile,)).cells(0, place_columns(PROPOSAL_COLUMNS, 100))
    assert "\x1b" not in str(cells[0])
    assert "[red]" in str(cells[0])
