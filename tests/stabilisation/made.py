"""What is known of a change, made by hand."""

from __future__ import annotations

from memtop.analysis.stability import Stability, StabilityVerdict
from memtop.analysis.stability_evidence import ChangeEvidence, SideFigures
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import Revision
from memtop.stabilisation.before_and_after import BeforeAndAfter
from memtop.stabilisation.revision_change import RevisionChange
from memtop.stabilisation.stabilisation_watch import StabilisationState

AT = 1_795_363_200.0


def revision(number, image, limit=2**30):
    return Revision(
        number,
        f"shop-{number}",
        AT,
        f"h{number}",
        {"app": image},
        {"app": limit},
        {"app": None},
        "",
        1,
        True,
        {},
    )


def seen(verdict, at=AT + 60, sentence="because", **more):
    ref = ObjectRef("Deployment", "shop", "web")
    change = RevisionChange(ref, revision(2, "web:2"), revision(1, "web:1"), AT, "its creation", "app=web", 1)
    stability = Stability(
        StabilityVerdict(verdict),
        sentence,
        AT,
        600.0,
        60.0,
        SideFigures(pods=1),
        SideFigures(pods=1),
        watched_seconds=540.0,
    )
    sides = {"app": BeforeAndAfter(ChangeEvidence(), ChangeEvidence(), "RSS from Prometheus")}
    return StabilisationState(ref, change, at, "app", sides, {"app": stability}, 1, **more)
