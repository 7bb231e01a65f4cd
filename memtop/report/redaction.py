"""Names exchanged for stable pseudonyms, so that a report can leave the house, with a list of what went.

A pseudonym is a keyed digest: the same name has the same one in every report made on this machine, so that
two reports can be compared, and nobody without the key can find the name by trying names. What somebody else
may have written freely (lines of logs, reasons, change causes, errors) is left out, since nobody knows what
stands in it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from config.private_files import open_new, private_folder
from config.sources import state_folder
from memtop.advice.workload_evidence import WorkloadEvidence
from memtop.report.incident import Incident, ReportQuote
from memtop.wording import counted

KEY_BYTES = 32
PSEUDONYM_DIGITS = 6
"""Hexadecimal digits: 16 million, so that the some hundred names of a report do not meet."""
LEFT_OUT = "withheld"


@dataclass(frozen=True)
class KnownName:
    """A name that must not stay in a report.

    Attributes:
        kind: What it names: ``namespace``, ``pod`` …
        name: The name.
    """

    kind: str
    name: str


def redaction_key(environ: Mapping[str, str]) -> bytes:
    """The key of this machine's pseudonyms, made when it is wanted first; kept in the state folder.

    Args:
        environ: The environment variables, which say where that is.

    Returns:
        The key; one for this report only where none can be kept.
    """
    try:
        folder = state_folder(environ)
        path = Path(folder) / "report.key"
        private_folder(folder)
        try:
            with os.fdopen(open_new(path), "wb") as file:
                file.write(os.urandom(KEY_BYTES))
        except FileExistsError:
            pass
        key = path.read_bytes()
    except OSError:
        key = b""
    return key if len(key) == KEY_BYTES else os.urandom(KEY_BYTES)


def names_of(evidence: WorkloadEvidence) -> Iterator[KnownName]:
    """The names that a report of this evidence may hold, in no order."""
    yield KnownName("namespace", evidence.ref.namespace)
    yield KnownName("context", evidence.context)
    yield KnownName("workload", evidence.ref.name)
    for member in evidence.members:
        yield KnownName("pod", member.pod)
        yield KnownName("container", member.container)
        yield KnownName("node", member.node)
    for name in (*evidence.before, *evidence.after):
        yield KnownName("container", name)
    if evidence.workload is not None:
        for revision in evidence.workload.revisions:
            yield KnownName("revision", revision.name)
            for container, image in revision.images.items():
                yield KnownName("container", container)
                yield from _image_names(image)
    for entry in evidence.plans:
        yield KnownName("user", entry.user)
        yield KnownName("context", entry.context)
        yield KnownName("pod" if entry.kind == "Pod" else "workload", entry.name)
        for change in entry.changes:
            if change.path.endswith("image"):
                yield from (*_image_names(change.old), *_image_names(change.new))


def _image_names(image: str) -> Iterator[KnownName]:
    """An image without its tag: the tag tells the fix, and names nothing."""
    name, _, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    yield KnownName("image", f"{head}{slash}{last.partition(':')[0]}")
    if digest:
        yield KnownName("image", digest)


def redact(incident: Incident, names: Iterator[KnownName], key: bytes) -> Incident:
    """The same report without names, and with the list of what was withheld.

    Args:
        incident: The report.
        names: What has to go; empty ones are passed over.
        key: Of the pseudonyms.
    """
    kinds: dict[str, str] = {}
    for one in names:
        if one.name.strip():
            kinds.setdefault(one.name, one.kind)
    pseudonyms = {name: pseudonym(kind, name, key) for name, kind in kinds.items()}
    whole = [re.escape(name) for name in sorted(kinds, key=len, reverse=True)]
    fits = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(whole)})(?![A-Za-z0-9])") if whole else None

    def exchanged(value: Any) -> Any:  # noqa: ANN401  (whatever a report is made of)
        if isinstance(value, str):
            return value if fits is None else fits.sub(lambda found: pseudonyms[found[0]], value)
        if isinstance(value, tuple):
            return tuple(exchanged(part) for part in value)
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{one.name: exchanged(getattr(value, one.name)) for one in fields(value)})
        return value

    lines = sum(len(one.lines) for one in incident.quotes)
    bare = replace(
        incident,
        quotes=tuple(ReportQuote(one.title, one.summary, ()) for one in incident.quotes),
        changes=tuple(replace(one, why=LEFT_OUT if one.why else "") for one in incident.changes),
        moments=tuple(replace(one, note="") for one in incident.moments),
        graph=incident.graph
        and replace(incident.graph, moments=tuple(replace(one, note="") for one in incident.graph.moments)),
        unknown=tuple(replace(one, why=LEFT_OUT) if one.foreign else one for one in incident.unknown),
    )
    changed: Incident = exchanged(bare)
    return replace(changed, withheld=tuple(_withheld(kinds, lines, incident)))


def pseudonym(kind: str, name: str, key: bytes) -> str:
    """``pod-3fa2c1``."""
    digest = hmac.new(key, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()
    return f"{kind}-{digest[:PSEUDONYM_DIGITS]}"


def _withheld(kinds: Mapping[str, str], lines: int, incident: Incident) -> Iterator[str]:
    for kind in sorted(set(kinds.values())):
        count = sum(one == kind for one in kinds.values())
        yield f"{counted(count, f'name of a {kind}') if count == 1 else f'{count} names of {kind}s'}"
    if lines:
        yield f"{counted(lines, 'line')} of logs"
    if reasons := sum(bool(one.why) for one in incident.changes):
        yield f"{counted(reasons, 'reason')} of refused changes"
    if causes := sum(bool(one.note) for one in incident.moments):
        yield counted(causes, "change cause")
    if errors := sum(one.foreign for one in incident.unknown):
        yield f"{counted(errors, 'message')} of servers"
    yield "not withheld: tags of images, sizes, times, verdicts, and what nobody named to memtop"
