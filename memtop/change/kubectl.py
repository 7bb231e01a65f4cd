"""The kubectl command that does the same, to be shown, copied and recorded."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from memtop.change.subject import Subject
from memtop.change.wish import DeletePod, Pause, Restart, Resume, Scale, SetImage, SetMemory, Undo, Wish
from memtop.cluster.kubeconfig import IN_CLUSTER
from memtop.cluster.target import Target


def command(wish: Wish, subject: Subject, target: Target, environ: Mapping[str, str]) -> str:
    """The command for a shell, which reaches the same cluster from the same machine.

    Args:
        wish: The wish.
        subject: The object.
        target: The cluster.
        environ: The environment variables, where kubectl looks for its kubeconfig.
    """
    words = [*_words(wish, subject), "-n", subject.ref.namespace]
    if target.source != IN_CLUSTER:
        words += ["--context", target.context]
        if not _found_by_itself(target.source, environ):
            words += ["--kubeconfig", target.source]
    return shlex.join(words)


def cause(wish: Wish, subject: Subject) -> str:
    """The command as a change cause: without what only this machine knows."""
    return shlex.join([*_words(wish, subject), f"--namespace={subject.ref.namespace}"])


def _found_by_itself(source: str, environ: Mapping[str, str]) -> bool:
    named = [part for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return source in (named or [str(Path.home() / ".kube" / "config")])


def _words(wish: Wish, subject: Subject) -> Iterator[str]:
    name = f"{wish.ref.kind.lower()}/{wish.ref.name}"
    match wish:
        case SetImage():
            yield from ("kubectl", "set", "image", name, f"{wish.container}={wish.image}")
        case SetMemory():
            yield from ("kubectl", *_memory(wish, subject, name))
        case Restart():
            yield from ("kubectl", "rollout", "restart", name)
        case Undo():
            to = () if wish.revision is None else (f"--to-revision={wish.revision}",)
            yield from ("kubectl", "rollout", "undo", name, *to)
        case Scale():
            yield from ("kubectl", "scale", name, f"--replicas={wish.replicas}")
        case DeletePod():
            yield from ("kubectl", "delete", name)
        case Pause():
            yield from ("kubectl", "rollout", "pause", name)
        case Resume():
            yield from ("kubectl", "rollout", "resume", name)


def _memory(wish: SetMemory, subject: Subject, name: str) -> Iterator[str]:
    given = [("limits", wish.limit), ("requests", wish.request)]
    container = subject.container(wish.container)
    if container is not None and container.init:  # `kubectl set resources` leaves init containers alone
        resources = {key: {"memory": value} for key, value in given if value is not None}
        element = {"name": wish.container, "resources": resources}
        patch: dict[str, object] = {"spec": {"template": {"spec": {"initContainers": [element]}}}}
        if wish.ref.kind == "CronJob":
            patch = {"spec": {"jobTemplate": patch}}
        yield from ("patch", name, "-p", msgspec.json.encode(patch).decode())
        return
    yield from ("set", "resources", name, f"-c={wish.container}")
    yield from (f"--{key}=memory={value}" for key, value in given if value is not None)
