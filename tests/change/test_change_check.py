"""What is said at a field, before there is a plan."""

import pytest

from memtop.change import validation
from memtop.change.change_request import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo
from memtop.kube.object_ref import ObjectRef
from tests.change.objects import container, ref, revision, subject_of

MIB = 1024 * 1024


def image(text, name="main", subject=None):
    return validation.request_problem(SetImage(ref(), name, text), subject or subject_of())


def memory(limit=None, request=None, used=None, **options):
    return validation.request_problem(SetMemory(ref(), "main", limit, request), subject_of(**options), used)


def test_a_good_image():
    assert image("shop:v2") == ""


def test_the_same_image():
    assert image("shop:v1") == validation.SAME_IMAGE


def test_a_malformed_image():
    assert "capital letters" in image("Shop:v2")


def test_an_unknown_container_names_those_there_are():
    subject = subject_of(containers=[container("app"), container("proxy")], init=[container("setup")])
    why = image("shop:v2", "nope", subject)
    assert "'nope'" in why
    assert "app, proxy, setup (init)" in why


def test_init_containers_have_images_too():
    assert image("shop:v2", "setup", subject_of(init=[container("setup")])) == ""


@pytest.mark.parametrize("good", ["1Gi", "600M", "536870913", "1.5Gi", "6e8", "1G"])
def test_good_limits(good):
    assert memory(good) == ""


@pytest.mark.parametrize(
    ("limit", "request_", "about"),
    [
        ("", None, "empty"),
        ("lots", None, "not a quantity"),
        ("1GB", None, "unknown unit 'GB'"),
        ("1 Gi", None, "not a quantity"),
        ("512m", None, "512Mi or 512M"),
        ("512", None, "512Mi may be meant"),
        ("1Mi", None, "too little"),
        (None, "64", "64Mi may be meant"),
        ("0", None, "more than 0"),
        ("1e400", None, "more than the API can count"),
        (None, "16Ei", "more than the API can count"),
        ("-1Gi", None, "more than 0"),
        ("64Mi", None, "lower that too"),
        (None, "1Gi", "raise that too"),
        ("1Gi", "2Gi", "below the request"),
        (None, None, "neither"),
        (None, "x", "not a quantity"),
    ],
)
def test_bad_memory(limit, request_, about):
    assert about in memory(limit, request_)


def test_a_request_may_be_small():
    assert memory(request="1Mi") == ""


def test_the_same_memory_however_it_is_written():
    assert memory("512Mi") == validation.SAME_MEMORY
    assert memory("0.5Gi", "128Mi") == validation.SAME_MEMORY


def test_a_limit_below_what_is_used():
    assert "below what it uses now, 300 MiB" in memory("256Mi", used={"main": 300 * MIB})
    assert memory("256Mi", used={"main": 200 * MIB}) == ""
    assert memory("256Mi", used={"other": 300 * MIB}) == ""
    assert memory(request="256Mi", used={"main": 300 * MIB}) == ""


def test_memory_where_there_was_none():
    assert memory("1Gi", containers=[container(limit="", request="")]) == ""


KNOWN = (
    revision(4, image="shop:v4", current=True),
    revision(3, image="shop:v3"),
    revision(1, image="shop:v1"),
)


def undo(number=None, revisions=KNOWN, **options):
    return validation.undo_target(Undo(ref(), number), subject_of(revisions=revisions, **options))


def test_undo_without_a_number_leads_to_the_one_before():
    found, why = undo()
    assert (found.number, why) == (3, "")


def test_undo_to_a_number():
    assert undo(1)[0].number == 1


def test_undo_that_leads_nowhere():
    assert undo(2)[1] == "there is no revision 2; there are 1, 3, 4"
    assert undo(4)[1] == validation.SAME_REVISION
    assert "only revision 4" in undo(revisions=KNOWN[:1])[1]
    assert undo(revisions=(), note="you may not")[1] == "you may not"


def test_paused_rollouts_are_neither_undone_nor_restarted_as_with_kubectl():
    subject = subject_of(revisions=KNOWN, spec={"paused": True})
    assert validation.request_problem(Undo(ref()), subject) == validation.PAUSED_ROLLOUTS
    assert validation.request_problem(Restart(ref()), subject) == validation.PAUSED_ROLLOUTS
    assert validation.request_problem(Pause(ref()), subject) == validation.ALREADY_PAUSED
    assert validation.request_problem(Resume(ref()), subject) == ""
    assert validation.request_problem(Resume(ref()), subject_of()) == validation.NOT_PAUSED


def test_replicas():
    assert validation.request_problem(Scale(ref(), 5), subject_of()) == ""
    assert validation.request_problem(Scale(ref(), 3), subject_of()) == validation.SAME_REPLICAS
    assert "below 0" in validation.request_problem(Scale(ref(), -1), subject_of())
    assert validation.parse_replicas(" 4 ") == 4
    for text in ("four", "", "1.5", "٤"):
        with pytest.raises(ValueError, match="whole number"):
            validation.parse_replicas(text)


@pytest.mark.parametrize(
    ("kind", "change", "about"),
    [
        ("Job", SetImage, "create the Job again"),
        ("Pod", SetImage, "bare pod"),
        ("Node", SetMemory, "a node has no pod template"),
        ("ReplicaSet", SetMemory, "does not replace its pods"),
        ("DaemonSet", Scale, "one pod on each node"),
        ("StatefulSet", Pause, "only Deployments"),
        ("CronJob", Restart, "no pods of its own"),
        ("Deployment", DeletePod, "only single pods"),
    ],
)
def test_kinds_that_cannot_be_changed_so(kind, change, about):
    changes = {SetImage: ("main", "shop:v2"), SetMemory: ("main", "1Gi"), Scale: (2,)}
    assert about in validation.request_problem(change(ref(kind), *changes.get(change, ())), subject_of(kind))


def test_a_kind_of_somebody_elses_is_named():
    other = ObjectRef("StrimziPodSet", "production", "shop", api_version="core.strimzi.io/v1beta2")
    why = validation.request_problem(SetImage(other, "main", "shop:v2"), subject_of())
    assert "StrimziPodSet (core.strimzi.io/v1beta2)" in why
