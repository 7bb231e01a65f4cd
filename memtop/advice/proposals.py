"""What memtop proposes for a workload: sizes, settings of the runtime, code, each with reason and change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite

from memtop.advice.code_advice import code_advice
from memtop.advice.runtime_advice import runtime_of, runtime_settings
from memtop.advice.sizes import SizeAdvice, daily_peaks, quantity, size_advice
from memtop.advice.workload_evidence import MemberFacts, WorkloadEvidence
from memtop.analysis.judgement import Judgement, Verdict
from memtop.analysis.memory_series import Batch
from memtop.analysis.verdict import judge_batch
from memtop.change.change_request import KINDS_WITH_TEMPLATE, ChangeRequest, SetMemory, pod_template
from memtop.heap.runtime_detection import LanguageRuntime
from memtop.kube.json_object import Json, objects, text
from memtop.quantity import bytes_or_none
from memtop.wording import bytes_

SETTLED_SECONDS = 6 * 3600.0
"""Seconds after which a revision is judged by itself: what leaks slowly does not show within an hour."""
UNJUDGED = Judgement(Verdict.NOT_ENOUGH_DATA, 1.0)


@dataclass(frozen=True)
class Proposal:
    """One thing to do.

    Attributes:
        id: Names it among those of its container, such as ``sizes`` or ``dump``.
        container: Of which container.
        title: What to do, in a few words.
        reason: Why.
        evidence: What that stands on.
        sure: How sure it is, and what is missing; empty where that goes without saying.
        request: The change, ready to be planned; None where there is nothing to change in the cluster.
        code: Lines to add to the application; empty for none.
    """

    id: str
    container: str
    title: str
    reason: str
    evidence: str = ""
    sure: str = ""
    request: ChangeRequest | None = None
    code: str = ""


def propose(evidence: WorkloadEvidence, container: str = "") -> tuple[Proposal, ...]:
    """Everything that is proposed, container by container.

    Args:
        evidence: What is known of the workload.
        container: Only for this one; all of them if empty.
    """
    found = evidence.workload
    template = pod_template(evidence.ref.kind, found.object) if found is not None else {}
    containers = objects(template, "spec", "containers")
    if not containers:  # the template may not be read: what runs is known all the same
        containers = [{"name": name} for name in dict.fromkeys(one.container for one in evidence.members)]
    wanted = [one for one in containers if container in {"", text(one, "name")}]
    return tuple(proposal for one in wanted for proposal in _of_container(evidence, one))


def _of_container(evidence: WorkloadEvidence, container: Json) -> Iterator[Proposal]:
    name, ref = text(container, "name"), evidence.ref
    members = [one for one in evidence.members if one.container == name]
    judged = _judgement(evidence, name, members)
    limit = _size(container, "limits") or _largest(members, "limit")
    request = _size(container, "requests") or _largest(members, "request")
    changeable = ref.kind in KINDS_WITH_TEMPLATE and evidence.workload is not None
    sizes = size_advice(daily_peaks(evidence.series(name)), judged, limit, request)
    yield _size_proposal(evidence, name, sizes, changeable=changeable)
    logs = [one for one in evidence.logs if one.container == name]
    lines = tuple(line for one in logs for line in one.lines)
    heap = next((one.heap for one in logs if one.heap is not None and one.heap.collections), None)
    runtime, how = runtime_of(container, lines, gc=heap is not None)
    for setting in runtime_settings(ref, container, runtime, limit, heap):
        known = f"{runtime}, as {how} says; {setting.evidence}"
        yield Proposal(
            setting.id,
            name,
            setting.title,
            setting.reason,
            known,
            request=setting.request if changeable else None,
        )
    if evidence.health and any(one.pod in {said.pod for said in evidence.health} for one in members):
        said = "; ".join(one.words() for one in evidence.health)
        reason = (
            "The heap against what lies beside it tells where growth is: a heap that is flat leaks elsewhere."
        )
        yield Proposal("health-figures", name, "read what it says of its own memory", reason, said)
    for code in code_advice(runtime, judged, lines):
        if code.id == "health" and evidence.health:
            continue  # it serves it
        yield Proposal(code.id, name, code.title, code.reason, judged.evidence(), code=code.code)
    if runtime is LanguageRuntime.UNKNOWN:
        yield Proposal(
            "runtime",
            name,
            "say which runtime it is",
            "Nothing in its template or log tells, so nothing is proposed for its heap. B on one of its pods "
            "looks inside.",
        )


def _size_proposal(evidence: WorkloadEvidence, name: str, sizes: SizeAdvice, *, changeable: bool) -> Proposal:
    if evidence.basis.startswith("RSS") and sizes.limit is not None:
        sizes = replace(sizes, sure=f"{sizes.sure}; by RSS, which leaves out page cache that counts")
    if sizes.limit is None or sizes.request is None:
        return Proposal("sizes", name, "no size can be given", sizes.reason, evidence.basis, sizes.sure)
    title = f"limit {bytes_(sizes.limit)}, request {bytes_(sizes.request)}"
    if not sizes.worth_it:
        return Proposal(
            "sizes",
            name,
            f"keep the sizes: {title} would be as good",
            sizes.reason,
            evidence.basis,
            sizes.sure,
        )
    wish = (
        SetMemory(evidence.ref, name, quantity(sizes.limit), quantity(sizes.request)) if changeable else None
    )
    return Proposal("sizes", name, title, sizes.reason, evidence.basis, sizes.sure, wish)


def _judgement(evidence: WorkloadEvidence, name: str, members: list[MemberFacts]) -> Judgement:
    """What is judged of the worst of them; of pods too young for that, what the revision before did.

    Pods of a new revision are young, and a leak must not be sized because it has just been restarted.
    """
    order = {Verdict.LEAK: 0, Verdict.OOM_LOOP: 1}
    judged = [one.judgement for one in members if one.judgement.verdict is not Verdict.NOT_ENOUGH_DATA]
    if evidence.judgement is not None and len({one.container for one in evidence.members}) == 1:
        judged.append(evidence.judgement)
    before = [one for one in evidence.before.get(name, ()) if len(one.values)]
    settled = any(len(one.values) for one in evidence.after.get(name, ())) and judged
    if before and (not settled or not _is_old_enough(evidence, name)):
        judged += list(judge_batch(Batch.of(before)))
    return min(judged, key=lambda one: (order.get(one.verdict, 2), -one.confidence), default=UNJUDGED)


def _is_old_enough(evidence: WorkloadEvidence, name: str) -> bool:
    """Whether pods of the newest revision have been seen for as long as a leak takes to show."""
    spans = [one.timestamps[-1] - one.timestamps[0] for one in evidence.after[name] if len(one.timestamps)]
    return max(spans, default=0.0) >= SETTLED_SECONDS


def _size(container: Json, which: str) -> float | None:
    return bytes_or_none(text(container, "resources", which, "memory"))


def _largest(members: list[MemberFacts], which: str) -> float | None:
    known = [value for one in members if (value := getattr(one, which)) is not None and isfinite(value)]
    return max(known, default=None)
