"""Who else sets a field and would change it back: Helm, Argo CD, Flux, controllers, autoscalers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from memtop.change.change_plan import ChangePlanLine, FieldPath, managed_field_keys, same_value
from memtop.describe.formatting import LAST_APPLIED
from memtop.kube.json_object import (
    Json,
    at,
    controller_of,
    labels,
    mapping,
    name_of,
    namespace_of,
    objects,
    sanitize_tree,
    text,
)
from memtop.kube.lenient_decoding import JSON_ERRORS

FIELD_MANAGER = "memtop"
OWNER_LABEL = "owner"
_UNREMARKABLE_MANAGERS = (FIELD_MANAGER, "kubectl", "kube-controller-manager", "before-first-apply")
"""Managers (or what they begin with) that nobody needs to be told of: people, and Kubernetes' controllers."""
_TOOL_NAMES = {
    "helm": "Helm",
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux (Helm)",
}
_CONFLICT = (
    "will fail with a conflict, since the field is memtop's then, and with --force-conflicts it reverts this"
)
"""What server-side apply does with a field that another manager has changed since, but for the same value.
Argo CD and Flux apply with force."""
_FLUX = "kustomize.toolkit.fluxcd.io/"
_FLUX_HELM = "helm.toolkit.fluxcd.io/"


@dataclass(frozen=True, slots=True)
class FieldManager:
    """Someone who has set a field, as ``managedFields`` has it.

    Attributes:
        name: Such as ``argocd-controller``.
        server_side_apply: Whether by server-side apply, so that the next apply sets it again.
        time: When, as the API writes it.
    """

    name: str
    server_side_apply: bool
    time: str

    def words(self) -> str:
        """``helm, on 2026-01-31 03:12 UTC``."""
        date, _, clock = self.time.partition("T")
        return f"{self.name}, on {date} {clock[:5]} UTC" if clock else self.name


def field_managers(found: Json, steps: FieldPath) -> list[FieldManager]:
    """Those who set a field of an object last, or share it."""
    return [
        FieldManager(text(entry, "manager"), text(entry, "operation") == "Apply", text(entry, "time"))
        for entry in objects(found, "metadata", "managedFields")
        if _holds(mapping(entry, "fieldsV1"), managed_field_keys(steps))
    ]


def _holds(fields: Json, keys: Sequence[str]) -> bool:
    """Whether a set of fields has one, or something whole that it is in.

    A list or map that is only ever set as a whole, such as the containers of most custom resources, has
    nothing below it; one that is made of parts has these, and a ``.`` for itself.
    """
    inside: object = fields
    for key in keys:
        if not isinstance(inside, Mapping) or (inside.get(key) is None):
            return inside is not fields and isinstance(inside, Mapping) and not inside
        inside = inside[key]
    return inside is not None


def apply_conflict_lines(found: Json, changed: Sequence[FieldPath]) -> Iterator[ChangePlanLine]:
    """Whose next server-side apply of an object fails once these fields are memtop's.

    Of tools that apply with force it is told elsewhere that they revert it.

    Args:
        found: The object as it is.
        changed: The fields.
    """
    holders = {holder.name: holder for steps in changed for holder in field_managers(found, steps)}
    for name, holder in holders.items():
        if holder.server_side_apply and name.lower() not in _TOOL_NAMES and name != FIELD_MANAGER:
            yield ChangePlanLine(
                OWNER_LABEL,
                f"the next server-side apply by {name} {_CONFLICT}: change its manifest to the same",
                "warn",
            )


def pod_owner_lines(
    found: Json, changed: Sequence[FieldPath], becoming: Mapping[FieldPath, str]
) -> Iterator[ChangePlanLine]:
    """Who else sets fields of a pod that is changed in place: no controller does, but others may.

    Args:
        found: The pod as it is.
        changed: The fields.
        becoming: What they will be.
    """
    yield from apply_conflict_lines(found, changed)
    yield from _last_applied_lines(found, changed, becoming)
    holders = {holder.name: holder for steps in changed for holder in field_managers(found, steps)}
    yield from _last_set_lines(holders)


def controller_lines(found: Json) -> Iterator[ChangePlanLine]:
    """The controller that made the object and keeps it as it wants it."""
    owner = controller_of(found)
    if owner:
        yield ChangePlanLine(
            OWNER_LABEL,
            f"this will be reverted by the controller of {text(owner, 'kind')}/{text(owner, 'name')} "
            f"({text(owner, 'apiVersion')}), which made it: change it there",
            "critical",
        )


def last_writer(found: Json) -> str:
    """Who wrote an object last, its status aside, and when: ``kubectl-edit, on 2026-01-31 03:12 UTC``.

    Empty where ``managedFields`` does not tell.
    """
    entries = [
        entry
        for entry in objects(found, "metadata", "managedFields")
        if text(entry, "manager") and text(entry, "time") and not text(entry, "subresource")
    ]
    if not entries:
        return ""
    newest = max(entries, key=lambda entry: text(entry, "time"))
    return FieldManager(
        text(newest, "manager"), text(newest, "operation") == "Apply", text(newest, "time")
    ).words()


def owner_lines(
    found: Json, changed: Sequence[FieldPath], becoming: Mapping[FieldPath, str] | None = None
) -> Iterator[ChangePlanLine]:
    """Who will revert a change of these fields, the surest first.

    Args:
        found: The object as it is.
        changed: The fields.
        becoming: What fields will be: a manifest that has the same will not revert them.
    """
    yield from controller_lines(found)
    holders = {holder.name: holder for steps in changed for holder in field_managers(found, steps)}
    tools = dict(_managing_tools(found))
    for name, holder in holders.items():
        tool = _TOOL_NAMES.get(name.lower(), "")
        if tool == "Helm" and holder.server_side_apply:
            tools[tool] = f"the next helm upgrade {_CONFLICT}: change the release's values too"
        elif tool and tool not in tools:
            tools[tool] = f"this will be reverted by {tool} at its next sync or upgrade: change it there too"
    yield from apply_conflict_lines(found, changed)
    for tool, words in tools.items():
        holds = next((one for one in holders.values() if _TOOL_NAMES.get(one.name.lower()) == tool), None)
        said = f" ({holds.words()}, set this field)" if holds is not None else ""
        yield ChangePlanLine(OWNER_LABEL, words + said, "critical" if tool in {"Argo CD", "Flux"} else "warn")
    if not {"Argo CD", "Flux"} & tools.keys():
        yield from _last_applied_lines(found, changed, becoming or {})
    yield from _last_set_lines(holders)


def _last_set_lines(holders: Mapping[str, FieldManager]) -> Iterator[ChangePlanLine]:
    for name, holder in holders.items():
        if (
            name.lower() not in _TOOL_NAMES
            and not holder.server_side_apply
            and not name.startswith(_UNREMARKABLE_MANAGERS)
        ):
            yield ChangePlanLine(OWNER_LABEL, f"last set by {holder.words()}: it may set it again", "warn")


def _managing_tools(found: Json) -> Iterator[tuple[str, str]]:
    """The tools whose marks an object carries, and what each will do."""
    marked = labels(found, "metadata", "labels")
    noted = labels(found, "metadata", "annotations")
    application = noted.get("argocd.argoproj.io/tracking-id", "").partition(":")[0]
    application = application or marked.get("argocd.argoproj.io/instance", "")
    if application or any(key.startswith("argocd.argoproj.io/") for key in noted):
        named = f" (application {application})" if application else ""
        yield (
            "Argo CD",
            f"this will be reverted by Argo CD{named}: within minutes where it heals by itself, else at the "
            "next sync: change it in its source too",
        )
    if name := marked.get(f"{_FLUX}name"):
        where = marked.get(f"{_FLUX}namespace") or namespace_of(found)
        yield (
            "Flux",
            f"this will be reverted by Flux (Kustomization {where}/{name}) when it reconciles next, which it "
            "does all the time: change it in its source, or suspend it",
        )
    release = noted.get("meta.helm.sh/release-name", "")
    if name := marked.get(f"{_FLUX_HELM}name"):
        where = marked.get(f"{_FLUX_HELM}namespace") or namespace_of(found)
        yield (
            "Flux (Helm)",
            f"this will be reverted by Flux (HelmRelease {where}/{name}) at its next upgrade, or sooner "
            "where it corrects drift: change the release's values too",
        )
    elif release or marked.get("app.kubernetes.io/managed-by") == "Helm":
        named = f" of the release {release}" if release else ""
        yield "Helm", f"this will be reverted by the next helm upgrade{named}: change its values too"


def _last_applied_lines(
    found: Json, changed: Sequence[FieldPath], becoming: Mapping[FieldPath, str]
) -> Iterator[ChangePlanLine]:
    """The manifest that ``kubectl apply`` remembers, where it names one of the fields."""
    raw = labels(found, "metadata", "annotations").get(LAST_APPLIED)
    if not raw:
        return
    try:
        manifest = sanitize_tree(msgspec.json.decode(raw))
    except JSON_ERRORS:
        return
    agrees = False
    for steps in changed:
        value = _manifest_value(manifest, steps)
        if value and same_value(value, becoming.get(steps, "")):
            agrees = True
        elif value is not None:
            words = f" (there it is {value})" if value else ""
            yield ChangePlanLine(
                OWNER_LABEL,
                f"this will be reverted by the next kubectl apply of its manifest{words}: change it there "
                "too",
                "warn",
            )
            return
    if agrees:
        yield ChangePlanLine(OWNER_LABEL, "the manifest that kubectl apply knows has the same")


def _manifest_value(manifest: object, steps: FieldPath) -> str | None:
    """A field's value in a manifest; empty for one that is no single value, None where it is not there."""
    value: object = manifest
    for step in steps:
        if isinstance(step, str):
            value = at(value, step)
        else:
            parts = value if isinstance(value, list) else []
            value = next((one for one in parts if text(one, step[0]) == step[1]), None)
        if value is None:
            return None
    return text({"": value}, "")


def autoscaler_lines(
    autoscalers: Sequence[Json], kind: str, name: str, replicas: int
) -> Iterator[ChangePlanLine]:
    """What the HorizontalPodAutoscalers of a workload do to another number of replicas.

    Args:
        autoscalers: Those of the namespace.
        kind: The workload's.
        name: The workload's.
        replicas: The number that is wanted.
    """
    for one in autoscalers:
        target = mapping(one, "spec", "scaleTargetRef")
        if (text(target, "kind"), text(target, "name")) != (kind, name):
            continue
        fewest, most = text(one, "spec", "minReplicas") or "1", text(one, "spec", "maxReplicas")
        if replicas == 0:
            words = "does nothing while it is scaled to 0, and goes on when it is not"
            yield ChangePlanLine(OWNER_LABEL, f"HorizontalPodAutoscaler/{name_of(one)} {words}", "warn")
        else:
            yield ChangePlanLine(
                OWNER_LABEL,
                f"this will be reverted by HorizontalPodAutoscaler/{name_of(one)}, which keeps from {fewest} "
                f"to {most} replicas by itself: change its bounds",
                "critical",
            )
