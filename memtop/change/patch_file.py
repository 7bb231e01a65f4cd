"""A change as a file in place of a request: a strategic-merge patch, a kustomize patch, or Helm values.

Where Argo CD, Flux, Helm or a server-side apply owns a field, a live change does not last. The file goes
into the repository that they read, with a commit message at its top.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from memtop.change.api_request import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from memtop.change.change_plan import VERSION_POINTER, ChangePlan, FieldChange, field_label, same_value
from memtop.change.change_request import SetImage, SetMemory
from memtop.change.images import ImageReferenceError, parse_image
from memtop.kube.client import Client
from memtop.kube.json_object import Json, decode_object, labels, mapping, objects, text, yaml_lines
from memtop.kube.object_ref import fetch_object

PatchFormat = Literal["patch", "kustomize", "helm"]
PATCH_FORMATS: Final[tuple[PatchFormat, ...]] = ("patch", "kustomize", "helm")
MOST_RELEASE_BYTES = 64 * 2**20
"""Bytes of a Helm release that are unpacked; etcd holds no more than 1.5 MiB of it packed."""


class PatchFileError(ValueError):
    """A change that cannot be written so; the sentence says why."""


async def change_as_file(
    client: Client, plan: ChangePlan, form: PatchFormat, evidence: Sequence[str] = ()
) -> str:
    """The change of a plan as a file of any form; Helm's values are looked up in the cluster.

    Raises:
        PatchFileError: The change cannot be written so.
        ApiError: Helm's release may not be read.
        Unreachable: No whole answer came.
    """
    if form != "helm":
        return patch_file(plan, form, evidence)
    return helm_values(plan, await read_release(client, plan), evidence)


def patch_file(plan: ChangePlan, form: Literal["patch", "kustomize"], evidence: Sequence[str] = ()) -> str:
    """The change of a plan as the text of a file.

    Args:
        plan: The plan; it may be one that the server refuses.
        form: ``patch`` or ``kustomize``.
        evidence: Why it is made, one sentence each, for the commit message.

    Raises:
        PatchFileError: Nothing of the plan is a change of an object's fields.
    """
    if plan.content_type == JSON_PATCH:
        return commit_comment(plan, evidence) + _json_patch_file(plan, form)
    patch = _object_patch(plan)
    if form == "kustomize":
        entry = {"target": _kustomize_target(plan), "patch": _yaml(patch)}
        return commit_comment(plan, evidence) + _yaml({"patches": [entry]})
    return commit_comment(plan, evidence) + _yaml(patch)


def _kustomize_target(plan: ChangePlan) -> dict[str, str]:
    group, _, version = _api_version(plan.path).rpartition("/")
    target = {"group": group, "version": version, "kind": plan.ref.kind, "name": plan.ref.name}
    target["namespace"] = plan.ref.namespace
    return {key: value for key, value in target.items() if value}


def _json_patch_file(plan: ChangePlan, form: PatchFormat) -> str:
    """The JSON patch of a custom resource, for ``kubectl patch --type=json`` or a kustomization."""
    steps = [step for step in msgspec.json.decode(plan.body) if step["path"] != VERSION_POINTER]
    written = "\n".join(f"- {msgspec.json.encode(step).decode()}" for step in steps) + "\n"
    if form == "kustomize":
        return _yaml({"patches": [{"target": _kustomize_target(plan), "patch": written}]})
    return f"# for kubectl patch --type=json --patch-file\n{written}"


def _object_patch(plan: ChangePlan) -> dict[str, Any]:
    if plan.content_type not in {STRATEGIC_MERGE_PATCH, MERGE_PATCH} or not plan.body:
        why = plan.refused or f"{plan.change.action} changes no field that a manifest has"
        raise PatchFileError(f"there is no patch file for this: {why}")
    body: dict[str, Any] = msgspec.json.decode(plan.body)
    body.pop("metadata", None)
    metadata = {"name": plan.ref.name}
    if plan.ref.namespace:
        metadata["namespace"] = plan.ref.namespace
    return {"apiVersion": _api_version(plan.path), "kind": plan.ref.kind, "metadata": metadata, **body}


def _api_version(path: str) -> str:
    """``apps/v1`` of ``/apis/apps/v1/namespaces/…``."""
    root, *rest = path.strip("/").split("/")
    return rest[0] if root == "api" else "/".join(rest[:2])


def commit_message(plan: ChangePlan, evidence: Sequence[str] = ()) -> str:
    """A commit message: what is set, from what to what, and why."""
    lines = [plan.title, ""]
    lines += [f"{field_label(one.path)}: {one.old or 'none'} -> {one.new or 'none'}" for one in plan.changes]
    if evidence:
        lines += ["", *evidence]
    return "\n".join(lines)


def commit_comment(plan: ChangePlan, evidence: Sequence[str] = ()) -> str:
    """The commit message as comment lines, for the top of a file."""
    lines = [f"# {line}".rstrip() for line in commit_message(plan, evidence).splitlines()]
    return "\n".join([*lines, ""])


@dataclass(frozen=True, slots=True)
class HelmRelease:
    """What Helm knows of a release.

    Attributes:
        name: Its name.
        values: The values it was installed with, over the chart's own.
        templates: The text of each template of the chart, by its file's name; empty where none is stored.
        subcharts: The names under which the values of charts inside it stand; their templates are not stored.
    """

    name: str
    values: Json
    templates: Mapping[str, str] = field(default_factory=dict)
    subcharts: frozenset[str] = frozenset()

    def reader(self, steps: tuple[str, ...]) -> str:
        """The template that reads a value, or a part of the values that it is in; empty where none does."""
        return next((name for name, words in self.templates.items() if _reads(words, steps)), "")

    def reading(self, steps: tuple[str, ...]) -> str:
        """What is known of who reads a value, for a comment."""
        value = ".".join(steps)
        if reader := self.reader(steps):
            return f"{value}: read by {reader} of the chart"
        if steps[0] in self.subcharts:
            return f"{value}: of the chart {steps[0]} inside, whose templates are not stored: not checked"
        return f"{value}: the chart's templates are not stored: whether one reads it is not checked"


async def read_release(client: Client, plan: ChangePlan) -> HelmRelease:
    """Reads the newest version of the Helm release that an object belongs to.

    Raises:
        PatchFileError: It belongs to none, or what is stored of it cannot be read.
        ApiError: Secrets may not be read.
        Unreachable: No whole answer came.
    """
    _, found = await fetch_object(client, plan.ref)
    name = labels(found, "metadata", "annotations").get("meta.helm.sh/release-name", "")
    if not name:
        raise PatchFileError(f"{plan.ref} names no Helm release (annotation meta.helm.sh/release-name)")
    home = labels(found, "metadata", "annotations").get("meta.helm.sh/release-namespace", plan.ref.namespace)
    raw = await client.get(f"/api/v1/namespaces/{home}/secrets", {"labelSelector": f"owner=helm,name={name}"})
    stored = objects(decode_object(raw, "the Secrets of the release"), "items")
    newest = max(stored, key=lambda one: int(text(one, "metadata", "labels", "version") or 0), default=None)
    if newest is None:
        raise PatchFileError(f"nothing is stored of the Helm release {name} in the namespace {home}")
    release = _unpacked_release(text(newest, "data", "release"), name)
    own, set_ = mapping(release, "chart", "values"), mapping(release, "config")
    inside = objects(release, "chart", "metadata", "dependencies")
    return HelmRelease(
        name,
        _merged(own, set_),
        dict(_templates(objects(release, "chart", "templates"))),
        frozenset(text(one, "alias") or text(one, "name") for one in inside),
    )


def _templates(stored: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """The chart's templates, each in Base64 of its own; one that cannot be read is left out."""
    for one in stored:
        with suppress(binascii.Error, ValueError):
            yield text(one, "name"), base64.b64decode(text(one, "data"), validate=True).decode()


_INDEXED_VALUES = re.compile(r'index\s+\$?\.Values((?:\s+"[^"]+")+)')


def _reads(template: str, steps: tuple[str, ...]) -> bool:
    """Whether a template takes a value, or hands on a part of the values that it is in."""
    for depth in range(len(steps), 0, -1):
        path = r"\.".join(re.escape(step) for step in steps[:depth])
        if re.search(rf"\.Values\.{path}(?![\w.])", template):
            return True
    indexed = (tuple(re.findall(r'"([^"]+)"', found)) for found in _INDEXED_VALUES.findall(template))
    return any(steps[: len(keys)] == keys for keys in indexed)


def _unpacked_release(data: str, name: str) -> Json:
    """Helm 3 stores JSON, gzipped, in Base64, which the API wraps in Base64 once more."""
    try:
        packed = base64.b64decode(base64.b64decode(data, validate=True), validate=True)
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        plain = unpacker.decompress(packed, MOST_RELEASE_BYTES)  # what is cut off there is no JSON any more
        found = json.loads(plain)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise PatchFileError(f"what is stored of the Helm release {name} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise PatchFileError(f"what is stored of the Helm release {name} is no object")
    return found


def _merged(below: Json, above: Json) -> dict[str, Any]:
    """Values over values, as Helm merges them: maps key by key, anything else whole."""
    merged = dict(below)
    for key, value in above.items():
        had = merged.get(key)
        merged[key] = _merged(had, value) if isinstance(had, dict) and isinstance(value, dict) else value
    return merged


def helm_values(plan: ChangePlan, release: HelmRelease, evidence: Sequence[str] = ()) -> str:
    """The values that make the release have what the plan sets, as a file for ``helm upgrade -f``.

    Raises:
        PatchFileError: The chart's values do not name a field, or several of them could.
    """
    if not isinstance(plan.change, SetImage | SetMemory):
        raise PatchFileError(f"there are no Helm values for {plan.change.action}")
    values: dict[str, Any] = {}
    read: list[str] = []
    for change in plan.changes:
        for steps, value in _value_for(change, plan.change, release):
            read.append(release.reading(steps))
            inside = values
            for step in steps[:-1]:
                inside = inside.setdefault(step, {})
            inside[steps[-1]] = value
    return commit_comment(plan, [*evidence, *dict.fromkeys(read)]) + _yaml(values)


def _value_for(
    change: FieldChange, request: SetImage | SetMemory, release: HelmRelease
) -> Iterator[tuple[tuple[str, ...], str]]:
    """The values that one field is made from, and what they have to be."""
    leaves = dict(_leaves(release.values))
    if isinstance(request, SetImage):
        yield from _image_values(change, request, release, leaves)
        return
    kind = "limits" if ".limits." in change.path else "requests"
    found = [
        steps
        for steps, value in leaves.items()
        if steps[-2:] == (kind, "memory") and same_value(value, change.old)
    ]
    yield _only(found, change, request, release), change.new


def _image_values(
    change: FieldChange, request: SetImage, release: HelmRelease, leaves: Mapping[tuple[str, ...], str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    whole = [steps for steps, value in leaves.items() if value == change.old]
    if whole:
        yield _only(whole, change, request, release), change.new
        return
    try:
        old, new = parse_image(change.old), parse_image(change.new)
    except ImageReferenceError as error:
        raise PatchFileError(str(error)) from None
    tags = [steps for steps, value in leaves.items() if steps[-1] == "tag" and value == old.tag]
    steps = _only(tags, change, request, release)
    if new.digest:
        raise PatchFileError(f"the chart's value {'.'.join(steps)} is a tag, and {change.new} names a digest")
    if (old.host, old.path) != (new.host, new.path):
        raise PatchFileError(f"{change.new} is of another repository: set that in the chart's values by hand")
    yield steps, new.tag


def _only(
    found: Sequence[tuple[str, ...]], change: FieldChange, request: SetImage | SetMemory, release: HelmRelease
) -> tuple[str, ...]:
    """The one path; of several the only one that names the container or the workload."""
    said = field_label(change.path)
    alike = found
    if release.templates:  # a value that nothing reads is like the field by chance
        found = [steps for steps in found if steps[0] in release.subcharts or release.reader(steps)]
        if alike and not found:
            listed = ", ".join(".".join(steps) for steps in alike)
            raise PatchFileError(
                f"{listed} of the release {release.name} has the value of the {said}, but no template of the "
                "chart reads it"
            )
    if len(found) > 1:
        named = [steps for steps in found if {request.container, request.ref.name} & set(steps)]
        found = named if len(named) == 1 else found
    if len(found) == 1:
        return found[0]
    if not found:
        raise PatchFileError(f"no value of the release {release.name} is the {said} ({change.old or 'none'})")
    listed = ", ".join(".".join(steps) for steps in found)
    raise PatchFileError(f"several values of the release {release.name} may be the {said}: {listed}")


def _leaves(values: Json, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, str(key)))
        elif isinstance(value, str | int | float):
            yield (*above, str(key)), str(value)


def _yaml(value: Mapping[str, object]) -> str:
    return "\n".join([*yaml_lines(value), ""])
