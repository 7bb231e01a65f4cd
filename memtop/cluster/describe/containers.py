"""The containers of a pod or of a pod template."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

from memtop.cluster.describe import amounts
from memtop.cluster.describe.labels import or_none
from memtop.cluster.describe.moment import Moment
from memtop.cluster.tree import (
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

FieldReader = Callable[[str], str]
"""From a field path (``metadata.name``) to its value in the pod; empty where kubectl does not resolve it."""


def container_lines(
    title: str,
    containers: Sequence[Json],
    statuses: Sequence[Json],
    moment: Moment,
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
        yield from _basics(container, status)
        yield from _commands(container)
        if status is not None:
            yield from _states(status, moment)
        yield from resource_lines(mapping(container, "resources"), "    ")
        for key, name in (("livenessProbe", "Liveness"), ("readinessProbe", "Readiness")):
            if has(container, key):
                yield f"    {name}:\t{probe_words(mapping(container, key))}"
        if has(container, "startupProbe"):
            yield f"    Startup:\t{probe_words(mapping(container, 'startupProbe'))}"
        yield from _environment_from(objects(container, "envFrom"))
        yield from _environment(container, read_field)
        yield from _mounts(container)


def _basics(container: Json, status: Json | None) -> Iterator[str]:
    if status is not None:
        yield f"    Container ID:\t{text(status, 'containerID')}"
    yield f"    Image:\t{text(container, 'image')}"
    if status is not None:
        yield f"    Image ID:\t{text(status, 'imageID')}"
    ports = objects(container, "ports")
    for title, key in (("Port", "containerPort"), ("Host Port", "hostPort")):
        words = ", ".join(f"{number(port, key) or 0}/{text(port, 'protocol')}" for port in ports)
        yield f"    {title}{'s' if ',' in words else ''}:\t{or_none(words)}"
    profile = mapping(container, "securityContext", "seccompProfile")
    if profile:
        yield f"    SeccompProfile:\t{text(profile, 'type')}"
        if text(profile, "type") == "Localhost":
            yield f"      LocalhostProfile:\t{text(profile, 'localhostProfile')}"


def _commands(container: Json) -> Iterator[str]:
    for key, title in (("command", "Command"), ("args", "Args")):
        words = texts(container, key)
        if words:
            yield f"    {title}:"
        for word in words:
            for line in word.split("\n"):
                yield f"      {line}"


def _states(status: Json, moment: Moment) -> Iterator[str]:
    yield from state_lines("State", mapping(status, "state"), moment)
    if has(status, "lastState", "terminated"):
        yield from state_lines("Last State", mapping(status, "lastState"), moment)
    yield f"    Ready:\t{flag(status, 'ready')}"
    yield f"    Restart Count:\t{number(status, 'restartCount') or 0}"


def state_lines(title: str, state: Json, moment: Moment) -> Iterator[str]:
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
        for name, quantity in quantities.items():
            yield f"{space}  {name}:\t{amounts.canonical(quantity)}"


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
        return f"http-get {_url(mapping(probe, 'httpGet'))} {attributes}"
    if has(probe, "tcpSocket"):
        return (
            f"tcp-socket {text(probe, 'tcpSocket', 'host')}:{text(probe, 'tcpSocket', 'port')} {attributes}"
        )
    if has(probe, "grpc"):
        port = number(probe, "grpc", "port") or 0
        return f"grpc <pod>:{port} {text(probe, 'grpc', 'service')} {attributes}"
    return f"unknown {attributes}"


def _url(get: Json) -> str:
    host = text(get, "host")
    host = f"[{host}]" if ":" in host else host
    path = quote(text(get, "path"), safe="/:@&=+$,;")
    path = path if not path or path.startswith("/") else f"/{path}"
    return f"{text(get, 'scheme').lower()}://{host}:{text(get, 'port')}{path}"


def _environment_from(sources: Sequence[Json]) -> Iterator[str]:
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
    amount = amounts.parse(text(container, "resources", which, name)) or amounts.ZERO
    divisor = amounts.parse(text(reference, "divisor"))
    unit = divisor.value if divisor is not None and divisor.value else 1
    value = math.ceil(amount.value / unit)
    if value == 0 and which == "limits" and name in {"cpu", "memory"}:
        return "node allocatable"
    return str(value)


def _mounts(container: Json) -> Iterator[str]:
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


def pod_field(pod: Json) -> FieldReader:
    """Resolves the fields of a pod that kubectl resolves: its name and its namespace."""
    known = {"metadata.name": name_of(pod), "metadata.namespace": namespace_of(pod)}
    return lambda path: known.get(path, "")
