"""What the forms say of what is typed, without a screen."""

from __future__ import annotations

import numpy as np
import pytest

from memtop.analysis.judgement import Judgement, Verdict
from memtop.change.change_request import Scale, SetImage, SetMemory
from memtop.change.workload_state import workload_from_object
from memtop.kube.object_ref import ObjectRef
from memtop.kube.workload_revisions import Revision
from tui.change import change_forms, memory_change
from tui.change.memory_change import PooledUsage, limit_gain_words, resolve_amount
from tui.change.permissions import Permissions, why_no_rollout
from tui.pod.tab import TabSubject as Row

MI, GI = 1024**2, 1024**3
REF = ObjectRef("Deployment", "shop", "web")
NOW = 1_800_000_000.0
LEAK = Judgement(Verdict.LEAK, 0.98, 48.0 * MI)


def web(limit="512Mi", request="256Mi", images=("web:2", "web:1")):
    resources = {
        "limits": {"memory": limit} if limit else {},
        "requests": {"memory": request} if request else {},
    }
    container = {"name": "app", "image": images[0], "resources": resources}
    revisions = tuple(
        Revision(
            number=len(images) - at,
            name=f"web-{at}",
            created=NOW - 3600 * at,
            hash=f"h{at}",
            images={"app": name},
            limits={},
            requests={},
            change_cause="",
            replicas=3,
            current=at == 0,
            template={},
        )
        for at, name in enumerate(images)
    )
    found = {"spec": {"replicas": 3, "template": {"spec": {"containers": [container]}}}}
    return workload_from_object(REF, found, revisions)


class TestImage:
    def test_the_tag_is_what_is_selected(self):
        subject = web(images=("registry:5000/team/web:2.1", "registry:5000/team/web:2.0"))
        field = change_forms.image_form(subject, subject.containers[0], NOW).fields[0]
        start, end = field.selected
        assert field.value[start:end] == "2.1"

    def test_each_image_is_offered_once_the_newest_first(self):
        subject = web(images=("web:2", "web:1", "web:2", "web:0"))
        choices = change_forms.image_form(subject, subject.containers[0], NOW).choices
        assert [choice.values["image"] for choice in choices] == ["web:2", "web:1", "web:0"]
        assert "runs now" in choices[0].note

    def test_it_says_whether_an_image_ran_here_before(self):
        subject = web()
        asked = change_forms.image_form(subject, subject.containers[0], NOW)
        assert asked.check({"image": "web:2"}).problem
        assert "revision 1" in asked.check({"image": "web:1"}).lines[0].text
        assert "no revision" in asked.check({"image": "web:3"}).lines[0].text
        assert asked.to_request({"image": "web:3"}) == SetImage(REF, "app", "web:3")

    @pytest.mark.parametrize("typed", ["v2.1.0", "2", "1.27.3-alpine", "latest"])
    def test_a_tag_alone_is_no_image(self, typed):
        subject = web(images=("registry:5000/team/web:2.1", "web:1"))
        said = change_forms.image_form(subject, subject.containers[0], NOW).check({"image": typed})
        assert said.problem == f"that is an image named {typed}; registry:5000/team/web:{typed}?"
        assert said.field == "image"

    @pytest.mark.parametrize("typed", ["varnish", "vault:1", "docker.io/library/v2.1.0", "7zip"])
    def test_what_may_be_an_image_is_one(self, typed):
        subject = web()
        assert (
            not change_forms.image_form(subject, subject.containers[0], NOW).check({"image": typed}).problem
        )


class TestMemory:
    def asked(self, subject=None, **uses):
        subject = subject or web()
        return memory_change.memory_form(
            subject, subject.containers[0], {"app": PooledUsage(**uses)} if uses else {}
        )

    @pytest.mark.parametrize(
        ("limit", "request_", "wanted"),
        [
            ("1Gi", "256Mi", ("1Gi", None)),
            ("512Mi", "300Mi", (None, "300Mi")),
            ("x2", "+25%", ("1Gi", "320Mi")),
            ("", "300Mi", (None, "300Mi")),
        ],
    )
    def test_what_is_left_as_it_is_is_not_asked_for(self, limit, request_, wanted):
        asked = self.asked()
        values = {"limit": limit, "request": request_}
        assert not asked.check(values).problem
        assert asked.to_request(values) == SetMemory(REF, "app", *wanted)

    @pytest.mark.parametrize(
        ("limit", "request_", "field", "words"),
        [
            ("512Mi", "256Mi", "limit", "that is what it has"),
            ("", "256Mi", "limit", "stays as it is"),
            ("lots", "256Mi", "limit", "'lots'"),
            ("1Gi", "lots", "request", "'lots'"),
            ("128Mi", "256Mi", "limit", "below the request"),
            ("300Mi", "256Mi", "limit", "below what it uses now"),
            ("512Mi", "1Gi", "request", "below the request"),
            ("-1", "256Mi", "limit", "the limit '-1' must be more than 0"),
            ("512Mi", "-1", "request", "the request '-1' must be more than 0"),
        ],
    )
    def test_a_problem_is_said_at_its_field(self, limit, request_, field, words):
        said = self.asked(working_set=400.0 * MI, pods=2).check({"limit": limit, "request": request_})
        assert said.field == field
        assert words in said.problem

    def test_relative_to_nothing_is_a_problem_of_that_field(self):
        said = self.asked(web(limit="")).check({"limit": "x2", "request": "256Mi"})
        assert (said.field, "nothing yet" in said.problem) == ("limit", True)

    def test_it_says_what_a_limit_buys(self):
        asked = self.asked(working_set=424.0 * MI, pods=3, judgement=LEAK)
        lines = asked.check({"limit": "1Gi", "request": "256Mi"}).lines
        assert lines[-1].text.startswith(
            "at +48 MiB/h the fullest pod reaches it in about 12 h 30 m instead of"
        )
        assert lines[-1].weight == "warn"

    def test_present_use_stands_beside_the_fields(self):
        facts = {
            line.label: line.text for line in self.asked(working_set=256.0 * MI, pods=3, judgement=LEAK).facts
        }
        assert facts["in use"] == "256 MiB, 50 % of the limit (the fullest of 3 pods)"
        assert facts["verdict"].startswith("leak")

    def test_unknown_use_is_shown_as_unknown(self):
        facts = {line.label: line.text for line in self.asked().facts}
        assert facts["in use"] == facts["verdict"] == "–"


class TestScale:
    def test_words_and_wish(self):
        asked = change_forms.scale_form(web())
        assert asked.fields[0].value == "3"
        assert asked.check({"replicas": "5"}).lines[0].text == "2 pods more"
        assert asked.check({"replicas": "2"}).lines[0].text == "1 pod fewer"
        assert "all pods stop" in asked.check({"replicas": "0"}).lines[0].text
        assert asked.to_request({"replicas": "5"}) == Scale(REF, 5)

    @pytest.mark.parametrize("typed", ["", "3", "-1", "many", "1.5"])
    def test_what_will_not_do(self, typed):
        assert change_forms.scale_form(web()).check({"replicas": typed}).problem


class TestAmounts:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("2Gi", "2Gi"),
            (" 1500M ", "1500M"),
            ("+25%", "1280Mi"),
            ("-50 %", "512Mi"),
            ("x2", "2Gi"),
            ("1.5x", "1536Mi"),
            ("+512Mi", "1536Mi"),
            ("-24Mi", "1000Mi"),
        ],
    )
    def test_relative_amounts(self, typed, meant):
        assert resolve_amount(typed, GI) == meant

    @pytest.mark.parametrize("typed", ["-100%", "-2Gi", "+1Qi", "x0"])
    def test_what_leaves_nothing_or_means_nothing(self, typed):
        with pytest.raises(ValueError, match=r"nothing|unit"):
            resolve_amount(typed, GI)

    @pytest.mark.parametrize("typed", ["x" + "9" * 400, "+" + "9" * 400 + "%", "+1e400", "+1e999"])
    def test_what_is_more_than_anybody_has(self, typed):
        with pytest.raises(ValueError, match="more than the API can count"):
            resolve_amount(typed, GI)


class TestBought:
    def test_without_growth_it_is_room(self):
        steady = PooledUsage(200.0 * MI, 2, Judgement(Verdict.STEADY, 0.9, 1.0 * MI))
        assert limit_gain_words(512 * MI, 256 * MI, steady).startswith(
            "312 MiB more than the fullest pod holds"
        )

    def test_where_there_was_no_limit(self):
        assert "so far there is no limit" in limit_gain_words(
            512 * MI, None, PooledUsage(200.0 * MI, 1, LEAK)
        )

    def test_unknown_use_buys_something_unknown(self):
        assert limit_gain_words(512 * MI, None, PooledUsage()) == "what it uses now is not known"


class TestPermissions:
    POD = Row(None, "shop", "web-1", "app", "web-1", REF)  # type: ignore[arg-type]
    WORKLOAD = Row.of_workload(REF)

    def test_read_only_forbids_everything(self):
        permissions = Permissions(read_only=True)
        assert "read-only" in permissions.refusal(self.POD, "image")
        assert permissions.unasked(self.POD) == []

    def test_a_workload_is_no_pod_to_delete(self):
        permissions = Permissions(read_only=False)
        assert "choose one of its pods" in permissions.refusal(self.WORKLOAD, "delete")
        assert permissions.refusal(self.POD, "delete") == ""

    def test_a_bare_pod_can_only_be_deleted(self):
        bare = Row.of_workload(ObjectRef("Pod", "shop", "bare"))
        permissions = Permissions(read_only=False)
        assert permissions.refusal(bare, "image")
        assert permissions.refusal(bare, "delete") == ""
        assert why_no_rollout(bare.workload)

    def test_each_right_is_asked_for_once_for_a_namespace_and_kind(self):
        permissions = Permissions(read_only=False)
        asked = permissions.unasked(self.POD)
        assert [(ref.kind, request.action) for ref, request in asked] == [
            ("Deployment", "set image"),
            ("Deployment", "scale"),
            ("Pod", "delete pod"),
        ]


def test_usage_is_that_of_the_fullest_pod():
    assert np.isclose(PooledUsage(3.0, 2, LEAK).rate, 48 * MI)
    assert PooledUsage(3.0, 2, Judgement(Verdict.SAWTOOTH, 0.9, 5.0)).rate is None
