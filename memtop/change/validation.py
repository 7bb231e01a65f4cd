"""Checks a change request against the workload before any plan is made and before the server is asked."""

from __future__ import annotations

from collections.abc import Mapping

from memtop.change.change_request import (
    DUMP_VOLUME,
    ChangeRequest,
    DeletePod,
    Pause,
    ResizePod,
    Restart,
    Resume,
    Scale,
    SetImage,
    SetMemory,
    SetVariables,
    Undo,
    pod_template,
    why_unsupported,
)
from memtop.change.images import ImageReferenceError, parse_image
from memtop.change.pod_resize import resize_problem
from memtop.change.workload_state import TemplateContainer, WorkloadState
from memtop.kube.custom_workloads import custom_workload, template_elsewhere, wait_words
from memtop.kube.json_object import has, objects, text
from memtop.kube.workload_revisions import Revision
from memtop.quantity import QuantityError, parse_bytes, parse_whole
from memtop.wording import bytes_

SMALLEST_MEMORY = {"limit": 4 * 1024 * 1024, "request": 4 * 1024}
"""Bytes; no container starts with a smaller limit, nobody means a smaller request: a unit is missing."""
LARGEST_MEMORY = 2**63 - 1
LARGEST_REPLICAS = 2**31 - 1
SAME_VARIABLES = "those are the variables it has"
SAME_IMAGE = "that is the image it has"
SAME_MEMORY = "that is the memory it has"
NOT_PAUSED = "its rollouts are not paused"
ALREADY_PAUSED = "its rollouts are paused already"
SAME_REPLICAS = "that is what it is scaled to"
SAME_REVISION = "that is the revision it has"
NOTHING_TO_DO = frozenset(
    {SAME_VARIABLES, SAME_IMAGE, SAME_MEMORY, SAME_REPLICAS, SAME_REVISION, NOT_PAUSED, ALREADY_PAUSED}
)
"""What is no mistake but done already."""
PAUSED_ROLLOUTS = "its rollouts are paused: resume it first"


def request_problem(
    change: ChangeRequest, subject: WorkloadState, used: Mapping[str, float] | None = None
) -> str:
    """Why a change makes no plan; empty if it may make one.

    Args:
        change: What is wanted.
        subject: The object as it is now.
        used: Working set in bytes by container, the most that any pod of it has; None if not known.

    Returns:
        One sentence.
    """
    if why := why_unsupported(change.ref, type(change)):
        return why
    if why := _custom_problem(change, subject):
        return why
    match change:
        case SetImage():
            return _image_problem(change, subject)
        case SetMemory():
            return _memory_problem(change, subject, used or {})
        case SetVariables():
            return _variables_problem(change, subject)
        case ResizePod():
            return _memory_problem(change, subject, {}) or resize_problem(change, subject.object)
        case Undo():
            return PAUSED_ROLLOUTS if subject.paused else undo_target(change, subject)[1]
        case Restart():
            return PAUSED_ROLLOUTS if subject.paused else ""
        case Scale():
            return _scale_problem(change, subject)
        case Pause():
            return ALREADY_PAUSED if subject.paused else ""
        case Resume():
            return "" if subject.paused else NOT_PAUSED
        case DeletePod():
            deleted = has(subject.object, "metadata", "deletionTimestamp")
            return "it is being deleted already" if deleted else ""


def _custom_problem(change: ChangeRequest, subject: WorkloadState) -> str:
    """What stands against a change of a workload of Argo Rollouts or OpenKruise in particular."""
    custom = custom_workload(subject.ref.kind, subject.ref.api_version)
    if custom is None:
        return ""
    elsewhere = template_elsewhere(subject.object)
    if elsewhere and not isinstance(change, Scale | Pause | Resume):
        return f"its pod template is that of {elsewhere} (spec.workloadRef): change it there"
    if isinstance(change, Resume) and not subject.paused:
        wait = wait_words(custom, subject.object).replace("NAME", subject.ref.name)
        return f"{NOT_PAUSED}: {wait}" if wait else NOT_PAUSED
    return ""


def parse_replicas(text: str) -> int:
    """Reads a number of pods.

    Raises:
        ValueError: It is none; the sentence says so.
    """
    written = text.strip()
    number = parse_whole(written.removeprefix("-"))
    if number is None or written.startswith("- "):
        raise ValueError(f"{text!r} is no whole number")
    return -number if written.startswith("-") else number


def undo_target(change: Undo, subject: WorkloadState) -> tuple[Revision | None, str]:
    """The revision that an undo leads to, or why there is none.

    As kubectl has it, the one before is the second highest number, whichever is the current one.
    """
    known = [one for one in subject.revisions if one.number]
    if not known:
        return None, subject.revisions_note or "no revision of it is known"
    if change.revision is None:
        if len(known) < 2:
            return None, f"there is nothing to go back to: only revision {known[0].number} is known"
        chosen: Revision | None = known[1]
    else:
        chosen = next((one for one in known if one.number == change.revision), None)
    if chosen is None:
        numbers = ", ".join(str(one.number) for one in reversed(known))
        return None, f"there is no revision {change.revision}; there are {numbers}"
    if chosen.current:
        return None, SAME_REVISION
    return chosen, ""


def _find_container(name: str, subject: WorkloadState) -> tuple[TemplateContainer | None, str]:
    found = subject.container(name)
    if found is not None:
        return found, ""
    names = ", ".join(f"{one.name} (init)" if one.init else one.name for one in subject.containers)
    return None, f"{subject.ref.name} has no container {name!r}; it has {names or 'none'}"


def _image_problem(change: SetImage, subject: WorkloadState) -> str:
    container, why = _find_container(change.container, subject)
    if container is None:
        return why
    try:
        parse_image(change.image)
    except ImageReferenceError as error:
        return str(error)
    return SAME_IMAGE if change.image == container.image else ""


def _memory_problem(change: SetMemory | ResizePod, subject: WorkloadState, used: Mapping[str, float]) -> str:
    container, why = _find_container(change.container, subject)
    if container is None:
        return why
    if change.limit is None and change.request is None:
        return "neither a limit nor a request is given"
    try:
        limit = container.limit_bytes if change.limit is None else parse_memory(change.limit, "limit")
        request = (
            container.request_bytes if change.request is None else parse_memory(change.request, "request")
        )
    except ValueError as error:
        return str(error)
    if (limit, request) == (container.limit_bytes, container.request_bytes):
        return SAME_MEMORY
    if limit is not None and request is not None and limit < request:
        lower, upper = change.limit or container.limit, change.request or container.request
        below = f"the limit {lower} is below the request {upper}"
        if change.request is None:
            return f"{below}: lower that too"
        return f"{below}: raise that too" if change.limit is None else below
    now = used.get(change.container)
    if change.limit is not None and limit is not None and now is not None and limit < now:
        return f"the limit {change.limit} is below what it uses now, {bytes_(now)}"
    return ""


def _variables_problem(change: SetVariables, subject: WorkloadState) -> str:
    container, why = _find_container(change.container, subject)
    if container is None:
        return why
    template = pod_template(subject.ref.kind, subject.object)
    among = objects(template, "spec", "initContainers" if container.init else "containers")
    found = next((one for one in among if text(one, "name") == container.name), {})
    present = {text(one, "name"): one for one in objects(found, "env")}
    for name, _ in change.variables:
        if has(present.get(name, {}), "valueFrom"):
            return f"{name} of {container.name} comes from elsewhere (valueFrom): change it there"
    mounts = {text(one, "mountPath"): text(one, "name") for one in objects(found, "volumeMounts")}
    if change.dump_folder and mounts.get(change.dump_folder, DUMP_VOLUME) != DUMP_VOLUME:
        return f"{change.dump_folder} of {container.name} is the volume {mounts[change.dump_folder]} already"
    same = all(text(present.get(name, {}), "value") == value for name, value in change.variables)
    return SAME_VARIABLES if same and (not change.dump_folder or change.dump_folder in mounts) else ""


def parse_memory(written: str, what: str) -> int:
    """Bytes of a quantity of memory that somebody has typed.

    Args:
        written: Such as ``2Gi``.
        what: What it is: ``limit`` or ``request``.

    Raises:
        ValueError: It is no quantity, or none that a container could live with; the sentence says so.
    """
    if not written.strip():
        raise ValueError(f"the {what} is empty")
    try:
        found = parse_bytes(written)
    except QuantityError as error:
        raise ValueError(str(error)) from None
    if written.endswith("m") and found >= 0:
        meant = written.removesuffix("m")
        raise ValueError(f"{written!r} is thousandths of a byte: {meant}Mi or {meant}M may be meant")
    if found <= 0:
        raise ValueError(f"the {what} {written!r} must be more than 0")
    if found > LARGEST_MEMORY:
        raise ValueError(f"the {what} {written!r} is more than the API can count")
    if found < SMALLEST_MEMORY[what]:
        hint = f": {written}Mi may be meant" if parse_whole(written) is not None else ""
        raise ValueError(f"the {what} {written!r} is {bytes_(found)}, which is too little{hint}")
    return found


def _scale_problem(change: Scale, subject: WorkloadState) -> str:
    if change.replicas < 0:
        return f"{change.replicas} is below 0: a workload cannot have fewer pods than none"
    if change.replicas > LARGEST_REPLICAS:
        return f"{change.replicas} is more than the API can count"
    return SAME_REPLICAS if change.replicas == subject.replicas else ""
