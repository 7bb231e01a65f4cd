"""What ``deployment/user-service`` means."""

import pytest

from memtop.kube.object_ref import ObjectRef, parse_object_name

KINDS = ("Deployment", "StatefulSet", "DaemonSet")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["deployment/api"], "Deployment"),
        (["deploy/api"], "Deployment"),
        (["Deployments/api"], "Deployment"),
        (["deployment.apps/api"], "Deployment"),
        (["deployments.v1.apps/api"], "Deployment"),
        (["deployment", "api"], "Deployment"),
        (["sts/api"], "StatefulSet"),
        (["ds", "api"], "DaemonSet"),
    ],
)
def test_names_as_kubectl_takes_them(words, kind):
    assert parse_object_name(words, "shop", KINDS) == ObjectRef(kind, "shop", "api")


@pytest.mark.parametrize(
    "words", [["api"], ["deployment/"], ["/api"], ["deployment/a/b"], ["deployment/a", "b"]]
)
def test_no_name(words):
    with pytest.raises(ValueError, match="does not name a workload; write it as deployment/NAME"):
        parse_object_name(words, "shop", KINDS)


def test_kinds_that_are_unknown_or_do_not_fit():
    with pytest.raises(ValueError, match="kind that memtop does not know"):
        parse_object_name(["rollout.argoproj.io/api"], "shop", KINDS)
    with pytest.raises(ValueError, match="is a Job, which this cannot be done with"):
        parse_object_name(["job/nightly"], "shop", KINDS)
