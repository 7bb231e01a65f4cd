"""Volume claims: those a StatefulSet makes, and those inside a pod's ephemeral volumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memtop.cluster.describe import amounts
from memtop.cluster.describe.labels import annotation_lines, label_lines
from memtop.cluster.tree import Json, has, labels, mapping, name_of, text, texts

DEEPER = "    "
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def claim_template_lines(templates: Sequence[Json]) -> Iterator[str]:
    """The claims a StatefulSet makes for each of its pods."""
    if not templates:
        yield "Volume Claims:\t<none>"
        return
    yield "Volume Claims:"
    for claim in templates:
        yield f"  Name:\t{name_of(claim)}"
        yield f"  StorageClass:\t{_storage_class(claim)}"
        yield from label_lines("  Labels", labels(claim, "metadata", "labels"), "  ")
        yield from label_lines("  Annotations", labels(claim, "metadata", "annotations"), "  ")
        storage = text(claim, "spec", "resources", "requests", "storage")
        yield f"  Capacity:\t{amounts.canonical(storage) if storage else '<default>'}"
        yield f"  Access Modes:\t[{' '.join(texts(claim, 'spec', 'accessModes'))}]"


def claim_lines(claim: Json) -> Iterator[str]:
    """The claim inside an ephemeral volume; it has no volume yet, so neither capacity nor access modes."""
    yield f"    StorageClass:\t{_storage_class(claim)}"
    yield f"    Volume:\t{text(claim, 'spec', 'volumeName')}"
    yield from _nested(label_lines("Labels", labels(claim, "metadata", "labels")))
    yield from _nested(annotation_lines("Annotations", labels(claim, "metadata", "annotations")))
    yield "    Capacity:\t"
    yield "    Access Modes:\t"
    if has(claim, "spec", "volumeMode"):
        yield f"    VolumeMode:\t{text(claim, 'spec', 'volumeMode')}"
    source = mapping(claim, "spec", "dataSource")
    if source:
        yield "    DataSource:"
        for key, title in (("apiGroup", "APIGroup"), ("kind", "Kind"), ("name", "Name")):
            if key != "apiGroup" or has(source, key):
                yield f"      {title}:\t{text(source, key)}"


def _storage_class(claim: Json) -> str:
    return text(claim, "metadata", "annotations", CLASS_ANNOTATION) or text(claim, "spec", "storageClassName")


def _nested(lines: Iterator[str]) -> Iterator[str]:
    """Lines inside a volume; kubectl indents what is inside by every part of a line that it writes."""
    for line in lines:
        title, _, value = line.partition("\t")
        yield f"{DEEPER}{title or DEEPER}\t{DEEPER}{value}"
