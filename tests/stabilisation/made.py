"""What is known of a change, made by hand."""

from __future__ import annotations

from memtop.cluster.refs import ObjectRef
from memtop.cluster.revisions import Revision
from memtop.growth.stability import Evidence, Stability, StabilityVerdict
from memtop.growth.stability_evidence import Side
from memtop.stabilisation.change import Change
from memtop.stabilisation.gather import Sides
from memtop.stabilisation.watch import Seen

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
    change = Change(ref, revision(2, "web:2"), revision(1, "web:1"), AT, "its creation", "app=web", 1)
    stability = Stability(StabilityVerdict(verdict), sentence, AT, 600.0, 60.0, Side(pods=1), Side(pods=1))
    sides = {"app": Sides(Evidence(), Evidence(), "RSS from Prometheus")}
    return Seen(ref, change, at, "app", sides, {"app": stability}, 1, **more)
