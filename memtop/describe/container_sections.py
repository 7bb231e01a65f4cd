"""The containers of a pod or pod template, what they request together, and the QoS class that follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

from memtop import quantity
from memtop.describe.formatting import ZonedNow, or_none
from memtop.kube.json_object import (
    Json,
    flag,
    has,
    labels,
    mapping,
    name_of,
    namespace_of,
    number,
    objects,
    text,
    texts,
)
from memtop.quantity import Quantity, add_quantities, larger_quantities, parse_quantities

FieldReader = Callable[[str], str]
"""From a field path (``metadata.name``) to its value in the pod; empty where kubectl does not resolve it."""


def container_lines(
    title: str,
    containers: Sequence[Json],
    statuses: Sequence[Json],
    moment: ZonedNow,
    read_field: FieldReader = lambda _: "",
    space: str = "",
) -> Iterator[str]:
    """One section of containers.

    Args:
        title: ``Containers``, ``Init Containers`` or ``Ephemeral Containers``.
        containers: Their specifications.
        statuses: What the kubelet says of them; empty in a template.
        moment: When.
        read_field: Resolves fields of the pod that the environment refers to.
        space: What a template's lines are indented by.
    """
    by_name = {text(status, "name"): status for status in statuses}
    yield f"{space}{title}:{'' if containers else ' <none>'}"
    for container in containers:
        status = by_name.get(text(container, "name"))
        yield f"  {' ' if space else ''}{text(container, 'name')}:"
        yield from _basic_lines(container, status, moment)
        yield from _command_lines(container)
        if status is not None:
            yield from _state_section(status, moment)
        yield from resource_lines(mapping(container, "resources"), "    ")
        for key, name in (("livenessProbe", "Liveness"), ("readinessProbe", "Readiness")):
            if has(container, key):
                yield f"    {name}:\t{probe_words(mapping(container, key))}"
        if has(container, "startupProbe"):
            yield f"    Startup:\t{probe_words(mapping(container, 'startupProbe'))}"
        yield from _environment_sources(objects(container, "envFrom"))
        yield from _environment(container, read_field)
        yield from _mount_lines(container)


def _basic_lines(container: Json, status: Json | None, moment: ZonedNow) -> Iterator[str]:
    if status is not None:
        yield f"    Container ID:\t{text(status, 'containerID')}"
    yield f"    Image:\t{text(container, 'image')}"
    if status is not None:
        yield f"    Image ID:\t{text(status, 'imageID')}"
    ports = objects(container, "ports")
    for title, key in (("Port", "containerPort"), ("Host Port", "hostPort")):
        names = [f" ({text(port, 'name')})" if moment.modern and text(port, "name") else "" for port in ports]
        words = ", ".join(
            f"{number(port, key) or 0}/{text(port, 'protocol')}{name}"
            for port, name in zip(ports, names, strict=True)
        )
        yield f"    {title}{'s' if ',' in words else ''}:\t{or_none(words)}"
    profile = mapping(container, "securityContext", "seccompProfile")
    if profile:
        yield f"    SeccompProfile:\t{text(profile, 'type')}"
        if text(profile, "type") == "Localhost":
            yield f"      LocalhostProfile:\t{text(profile, 'localhostProfile')}"


def _command_lines(container: Json) -> Iterator[str]:
    for key, title in (("command", "Command"), ("args", "Args")):
        words = texts(container, key)
        if words:
            yield f"    {title}:"
        for word in words:
            for line in word.split("\n"):
                yield f"      {line}"


def _state_section(status: Json, moment: ZonedNow) -> Iterator[str]:
    yield from state_lines("State", mapping(status, "state"), moment)
    if has(status, "lastState", "terminated"):
        yield from state_lines("Last State", mapping(status, "lastState"), moment)
    yield f"    Ready:\t{flag(status, 'ready')}"
    yield f"    Restart Count:\t{number(status, 'restartCount') or 0}"


def state_lines(title: str, state: Json, moment: ZonedNow) -> Iterator[str]:
    """One state of a container: running, waiting or terminated, and since when and why."""
    if has(state, "running"):
        yield f"    {title}:\tRunning"
        yield f"      Started:\t{moment.stamp(text(state, 'running', 'startedAt'))}"
        return
    end = mapping(state, "terminated")
    if has(state, "waiting") or not has(state, "terminated"):
        yield f"    {title}:\tWaiting"
        if text(state, "waiting", "reason"):
            yield f"      Reason:\t{text(state, 'waiting', 'reason')}"
        return
    yield f"    {title}:\tTerminated"
    for key, name in (("reason", "Reason"), ("message", "Message")):
        if text(end, key):
            yield f"      {name}:\t{text(end, key)}"
    yield f"      Exit Code:\t{number(end, 'exitCode') or 0}"
    if (number(end, "signal") or 0) > 0:
        yield f"      Signal:\t{number(end, 'signal')}"
    yield f"      Started:\t{moment.stamp(text(end, 'startedAt'))}"
    yield f"      Finished:\t{moment.stamp(text(end, 'finishedAt'))}"


def resource_lines(resources: Json, space: str) -> Iterator[str]:
    """Limits and requests."""
    for key, title in (("limits", "Limits"), ("requests", "Requests")):
        quantities = labels(resources, key)
        if quantities:
            yield f"{space}{title}:"
        for name, written in quantities.items():
            yield f"{space}  {name}:\t{quantity.canonical(written)}"


def probe_words(probe: Json) -> str:
    """A probe in one line: what it does and how often."""
    attributes = (
        f"delay={number(probe, 'initialDelaySeconds') or 0}s timeout={number(probe, 'timeoutSeconds') or 0}s "
        f"period={number(probe, 'periodSeconds') or 0}s #success={number(probe, 'successThreshold') or 0} "
        f"#failure={number(probe, 'failureThreshold') or 0}"
    )
    if has(probe, "exec"):
        return f"exec [{' '.join(texts(probe, 'exec', 'command'))}] {attributes}"
    if has(probe, "httpGet"):
        return f"http-get {_probe_url(mapping(probe, 'httpGet'))} {attributes}"
    if has(probe, "tcpSocket"):
        return (
            f"tcp-socket {text(probe, 'tcpSocket', 'host')}:{text(probe, 'tcpSocket', 'port')} {attributes}"
        )
    if has(probe, "grpc"):
        port = number(probe, "grpc", "port") or 0
        return f"grpc <pod>:{port} {text(probe, 'grpc', 'service')} {attributes}"
    return f"unknown {attributes}"


def _probe_url(get: Json) -> str:
    host = text(get, "host")
    host = f"[{host}]" if ":" in host else host
    path = quote(text(get, "path"), safe="/:@&=+$,;")
    path = path if not path or path.startswith("/") else f"/{path}"
    return f"{text(get, 'scheme').lower()}://{host}:{text(get, 'port')}{path}"


def _environment_sources(sources: Sequence[Json]) -> Iterator[str]:
    if sources:
        yield "    Environment Variables from:"
    for source in sources:
        kind, reference = "", mapping(source)
        for key, name in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if has(source, key) and not kind:
                kind, reference = name, mapping(source, key)
        prefix = f" with prefix '{text(source, 'prefix')}'" if text(source, "prefix") else ""
        optional = "true" if flag(reference, "optional") else "false"
        yield f"      {text(reference, 'name')}\t{kind}{prefix}\tOptional: {optional}"


def _environment(container: Json, read_field: FieldReader) -> Iterator[str]:
    variables = objects(container, "env")
    yield "    Environment:" if variables else "    Environment:\t<none>"
    for variable in variables:
        name, source = text(variable, "name"), mapping(variable, "valueFrom")
        if not source:
            first, *rest = text(variable, "value").split("\n")
            yield f"      {name}:\t{first}"
            for line in rest:
                yield f"      \t{line}"
        elif has(source, "fieldRef"):
            path, version = text(source, "fieldRef", "fieldPath"), text(source, "fieldRef", "apiVersion")
            yield f"      {name}:\t{read_field(path)} ({version}:{path})"
        elif has(source, "resourceFieldRef"):
            reference = mapping(source, "resourceFieldRef")
            yield f"      {name}:\t{_resource_value(reference, container)} ({text(reference, 'resource')})"
        else:
            for key, words in (("secretKeyRef", "in secret"), ("configMapKeyRef", "of config map")):
                if has(source, key):
                    reference = mapping(source, key)
                    optional = "true" if flag(reference, "optional") else "false"
                    yield (
                        f"      {name}:\t<set to the key '{text(reference, 'key')}' {words} "
                        f"'{text(reference, 'name')}'>\tOptional: {optional}"
                    )
                    break


def _resource_value(reference: Json, container: Json) -> str:
    """A limit or request in units of the divisor, rounded up."""
    which, _, name = text(reference, "resource").partition(".")
    if which not in {"limits", "requests"} or not name:
        return ""
    amount = quantity.parse_quantity(text(container, "resources", which, name)) or quantity.ZERO
    divisor = quantity.parse_quantity(text(reference, "divisor"))
    unit = divisor.value if divisor is not None and divisor.value else 1
    value = math.ceil(amount.value / unit)
    if value == 0 and which == "limits" and name in {"cpu", "memory"}:
        return "node allocatable"
    return str(value)


def _mount_lines(container: Json) -> Iterator[str]:
    mounts = sorted(objects(container, "volumeMounts"), key=lambda mount: text(mount, "mountPath"))
    yield "    Mounts:" if mounts else "    Mounts:\t<none>"
    for mount in mounts:
        flags = "ro" if flag(mount, "readOnly") else "rw"
        if text(mount, "subPath"):
            flags += f',path="{text(mount, "subPath")}"'
        yield f"      {text(mount, 'mountPath')} from {text(mount, 'name')} ({flags})"
    devices = sorted(objects(container, "volumeDevices"), key=lambda device: text(device, "devicePath"))
    if devices:
        yield "    Devices:" if mounts else "    Devices:\t<none>"
    for device in devices:
        yield f"      {text(device, 'devicePath')} from {text(device, 'name')}"


def pod_field_reader(pod: Json) -> FieldReader:
    """Resolves the fields of a pod that kubectl resolves: its name and its namespace."""
    known = {"metadata.name": name_of(pod), "metadata.namespace": namespace_of(pod)}
    return lambda path: known.get(path, "")


_COMPUTE = ("cpu", "memory")


def pod_requests(pod: Json) -> dict[str, Quantity]:
    """What is reserved for a pod on its node, by resource."""
    total = _pod_total(mapping(pod, "spec"), "requests")
    return add_quantities(total, parse_quantities(labels(pod, "spec", "overhead")))


def pod_limits(pod: Json) -> dict[str, Quantity]:
    """What a pod may use at most, by resource; a container without a limit counts as nothing."""
    total = _pod_total(mapping(pod, "spec"), "limits")
    overhead = parse_quantities(labels(pod, "spec", "overhead"))
    return add_quantities(total, {name: amount for name, amount in overhead.items() if name in total})


def _pod_total(spec: Json, which: str) -> dict[str, Quantity]:
    """Ordinary containers and sidecars together, or the largest init container where that is more.

    An init container runs beside the sidecars before it (KEP-753); where the pod has resources of its own
    (``spec.resources``), these count for it.
    """
    total: dict[str, Quantity] = {}
    for container in objects(spec, "containers"):
        total = add_quantities(total, parse_quantities(labels(container, "resources", which)))
    sidecars: dict[str, Quantity] = {}
    starting: dict[str, Quantity] = {}
    for container in objects(spec, "initContainers"):
        own = parse_quantities(labels(container, "resources", which))
        if text(container, "restartPolicy") == "Always":
            total, sidecars = add_quantities(total, own), add_quantities(sidecars, own)
            starting = larger_quantities(starting, sidecars)
        else:
            starting = larger_quantities(starting, add_quantities(own, sidecars))
    return {**larger_quantities(total, starting), **parse_quantities(labels(spec, "resources", which))}


def qos_class(spec: Json) -> str:
    """The QoS class of a pod whose status does not tell it.

    Guaranteed if every container has limits for CPU and memory that equal its requests, BestEffort if none
    has any, else Burstable (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/).
    """
    containers = [*objects(spec, "containers"), *objects(spec, "initContainers")]
    parts = [spec] if has(spec, "resources") else containers
    asked = False
    guaranteed = bool(parts)
    for part in parts:
        limits, requests = _compute_quantities(part, "limits"), _compute_quantities(part, "requests")
        asked = asked or bool(limits or requests)
        same = all(limits[name].value == requests[name].value for name in limits if name in requests)
        guaranteed = guaranteed and len(limits) == len(_COMPUTE) and same
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _compute_quantities(part: Json, which: str) -> dict[str, Quantity]:
    found = parse_quantities(labels(part, "resources", which))
    return {name: found[name] for name in _COMPUTE if name in found and found[name].value > 0}
