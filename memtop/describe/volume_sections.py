"""The volumes of a pod or of a pod template, and volume claims: what kind each is, and its few parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from memtop import quantity
from memtop.describe.formatting import MAX_ANNOTATION, annotation_lines, cut_bytes, label_lines, list_lines
from memtop.kube.json_object import (
    Json,
    at,
    flag,
    has,
    labels,
    mapping,
    name_of,
    number,
    objects,
    text,
    texts,
)

NESTED_INDENT = "    "
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
        yield f"  Capacity:\t{quantity.canonical(storage) if storage else '<default>'}"
        yield f"  Access Modes:\t[{' '.join(texts(claim, 'spec', 'accessModes'))}]"


def claim_lines(claim: Json) -> Iterator[str]:
    """The claim inside an ephemeral volume; it has no volume yet, so neither capacity nor access modes."""
    yield f"    StorageClass:\t{_storage_class(claim)}"
    yield f"    Volume:\t{text(claim, 'spec', 'volumeName')}"
    yield from _indent_lines(label_lines("Labels", labels(claim, "metadata", "labels")))
    yield from _indent_lines(annotation_lines("Annotations", labels(claim, "metadata", "annotations")))
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


def _indent_lines(lines: Iterator[str]) -> Iterator[str]:
    """Lines inside a volume; kubectl indents what is inside by every part of a line that it writes."""
    for line in lines:
        title, _, value = line.partition("\t")
        yield f"{NESTED_INDENT}{title or NESTED_INDENT}\t{NESTED_INDENT}{value}"


_VOLUME_SOURCES: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "hostPath": (
        "HostPath (bare host directory volume)",
        {"Path": "path", "HostPathType": "type|<none>"},
    ),
    "emptyDir": (
        "EmptyDir (a temporary directory that shares a pod's lifetime)",
        {"Medium": "medium", "SizeLimit": "quantity:sizeLimit|<unset>"},
    ),
    "gcePersistentDisk": (
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        {"PDName": "pdName", "FSType": "fsType", "Partition": "partition|0", "ReadOnly": "readOnly|false"},
    ),
    "awsElasticBlockStore": (
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        {
            "VolumeID": "volumeID",
            "FSType": "fsType",
            "Partition": "partition|0",
            "ReadOnly": "readOnly|false",
        },
    ),
    "gitRepo": (
        "GitRepo (a volume that is pulled from git when the pod is created)",
        {"Repository": "repository", "Revision": "revision"},
    ),
    "secret": (
        "Secret (a volume populated by a Secret)",
        {"SecretName": "secretName", "Optional": "optional|false"},
    ),
    "configMap": (
        "ConfigMap (a volume populated by a ConfigMap)",
        {"Name": "name", "Optional": "optional|false"},
    ),
    "nfs": (
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        {"Server": "server", "Path": "path", "ReadOnly": "readOnly|false"},
    ),
    "iscsi": (
        "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine "
        "and then exposed to the pod)",
        {
            "TargetPortal": "targetPortal",
            "IQN": "iqn",
            "Lun": "lun|0",
            "ISCSIInterface\t": "iscsiInterface",
            "FSType": "fsType",
            "ReadOnly": "readOnly|false",
            "Portals": "list:portals",
            "DiscoveryCHAPAuth": "chapAuthDiscovery|false",
            "SessionCHAPAuth": "chapAuthSession|false",
            "SecretRef": "reference:secretRef",
            "InitiatorName": "initiatorName|<none>",
        },
    ),
    "glusterfs": (
        "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        {"EndpointsName": "endpoints", "Path": "path", "ReadOnly": "readOnly|false"},
    ),
    "persistentVolumeClaim": (
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        {"ClaimName": "claimName", "ReadOnly": "readOnly|false"},
    ),
    "rbd": (
        "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        {
            "CephMonitors": "list:monitors",
            "RBDImage": "image",
            "FSType": "fsType",
            "RBDPool": "pool",
            "RadosUser": "user",
            "Keyring": "keyring",
            "SecretRef": "reference:secretRef",
            "ReadOnly": "readOnly|false",
        },
    ),
    "quobyte": (
        "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        {"Registry": "registry", "Volume": "volume", "ReadOnly": "readOnly|false"},
    ),
    "azureDisk": (
        "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        {
            "DiskName": "diskName",
            "DiskURI": "diskURI",
            "Kind": "kind",
            "FSType": "fsType",
            "CachingMode": "cachingMode",
            "ReadOnly": "readOnly|false",
        },
    ),
    "azureFile": (
        "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        {"SecretName": "secretName", "ShareName": "shareName", "ReadOnly": "readOnly|false"},
    ),
    "vsphereVolume": (
        "vSphereVolume (a Persistent Disk resource in vSphere)",
        {"VolumePath": "volumePath", "FSType": "fsType", "StoragePolicyName": "storagePolicyName"},
    ),
    "cinder": (
        "Cinder (a Persistent Disk resource in OpenStack)",
        {
            "VolumeID": "volumeID",
            "FSType": "fsType",
            "ReadOnly": "readOnly|false",
            "SecretRef": "reference:secretRef",
        },
    ),
    "photonPersistentDisk": (
        "PhotonPersistentDisk (a Persistent Disk resource in photon platform)",
        {"PdID": "pdID", "FSType": "fsType"},
    ),
    "portworxVolume": ("PortworxVolume (a Portworx Volume resource)", {"VolumeID": "volumeID"}),
    "scaleIO": (
        "ScaleIO (a persistent volume backed by a block device in ScaleIO)",
        {
            "Gateway": "gateway",
            "System": "system",
            "Protection Domain": "protectionDomain",
            "Storage Pool": "storagePool",
            "Storage Mode": "storageMode",
            "VolumeName": "volumeName",
            "FSType": "fsType",
            "ReadOnly": "readOnly|false",
        },
    ),
    "cephfs": (
        "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        {
            "Monitors": "list:monitors",
            "Path": "path",
            "User": "user",
            "SecretFile": "secretFile",
            "SecretRef": "reference:secretRef",
            "ReadOnly": "readOnly|false",
        },
    ),
    "storageos": (
        "StorageOS (a StorageOS Persistent Disk resource)",
        {
            "VolumeName": "volumeName",
            "VolumeNamespace": "volumeNamespace",
            "FSType": "fsType",
            "ReadOnly": "readOnly|false",
        },
    ),
    "fc": (
        "FC (a Fibre Channel disk)",
        {
            "TargetWWNs": "joined:targetWWNs",
            "LUN": "lun|<none>",
            "FSType": "fsType",
            "ReadOnly": "readOnly|false",
        },
    ),
    "flexVolume": (
        "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)",
        {
            "Driver": "driver",
            "FSType": "fsType",
            "SecretRef": "reference:secretRef",
            "ReadOnly": "readOnly|false",
            "Options": "map:options",
        },
    ),
    "flocker": (
        "Flocker (a Flocker volume mounted by the Flocker agent)",
        {"DatasetName": "datasetName", "DatasetUUID": "datasetUUID"},
    ),
    "csi": (
        "CSI (a Container Storage Interface (CSI) volume source)",
        {"Driver": "driver", "FSType": "fsType", "ReadOnly": "readOnly|false"},
    ),
    "image": (
        "Image (a container image or OCI artifact)",
        {"Reference": "reference", "PullPolicy": "pullPolicy"},
    ),
    "projected": ("Projected (a volume that contains injected data from multiple sources)", {}),
    "downwardAPI": ("DownwardAPI (a volume populated by information about the pod)", {}),
    "ephemeral": (
        "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        {},
    ),
}
"""Source to its words and parameters; a parameter is ``form:field|default``, both ends optional."""


def volume_lines(volumes: Sequence[Json], space: str = "") -> Iterator[str]:
    """The volumes.

    Args:
        volumes: Their specifications.
        space: What a template's lines are indented by.
    """
    if not volumes:
        yield f"{space}Volumes:\t<none>"
        return
    yield f"{space}Volumes:"
    for volume in volumes:
        yield f"  {' ' if space else ''}{text(volume, 'name')}:"
        key = next((key for key in _VOLUME_SOURCES if has(volume, key)), None)
        if key is None:
            yield "  <unknown>"
            continue
        words, parameters = _VOLUME_SOURCES[key]
        source = mapping(volume, key)
        yield f"    Type:\t{words}"
        for title, field in parameters.items():
            name = title if title.endswith("\t") else f"{title}:\t"
            yield f"    {name}{_parameter_value(source, field)}"
        if key == "projected":
            yield from _projected_sources(source)
        elif key == "downwardAPI":
            yield from _downward_items(source)
        elif key == "csi":
            yield from _csi_attributes(labels(source, "volumeAttributes"))
        elif key == "ephemeral" and has(source, "volumeClaimTemplate"):
            yield from claim_lines(mapping(source, "volumeClaimTemplate"))


def _parameter_value(source: Json, field: str) -> str:
    """One parameter as Go prints a value of its type."""
    form, _, rest = field.rpartition(":")
    name, _, default = rest.partition("|")
    if form == "list":
        return f"[{' '.join(texts(source, name))}]"
    if form == "joined":
        return ", ".join(texts(source, name))
    if form == "map":
        return f"map[{' '.join(f'{key}:{value}' for key, value in labels(source, name).items())}]"
    if form == "reference":
        referred = at(source, name)
        return "nil" if referred is None else f"&LocalObjectReference{{Name:{text(referred, 'name')},}}"
    value = text(source, name)
    if form == "quantity":
        amount = quantity.parse_quantity(value)
        return str(amount) if amount is not None and amount.value > 0 else default
    return value or default


def _csi_attributes(attributes: dict[str, str]) -> Iterator[str]:
    """A CSI driver's parameters; kubectl indents their values once more."""
    lines = [f"    {cut_bytes(f'{name}={value}', MAX_ANNOTATION)}" for name, value in attributes.items()]
    yield from list_lines("    VolumeAttributes", lines, "    ")


def _projected_sources(source: Json) -> Iterator[str]:
    for part in objects(source, "sources"):
        for key, title in (("secret", "SecretName"), ("configMap", "ConfigMapName")):
            if has(part, key):
                yield f"    {title}:\t{text(part, key, 'name')}"
                yield f"    Optional:\t{'true' if flag(part, key, 'optional') else 'false'}"
        if has(part, "downwardAPI"):
            yield "    DownwardAPI:\ttrue"
        if has(part, "serviceAccountToken"):
            seconds = number(part, "serviceAccountToken", "expirationSeconds") or 0
            yield f"    TokenExpirationSeconds:\t{seconds}"


def _downward_items(source: Json) -> Iterator[str]:
    yield "    Items:"
    for item in objects(source, "items"):
        for key, field in (("fieldRef", "fieldPath"), ("resourceFieldRef", "resource")):
            if has(item, key):
                yield f"      {text(item, key, field)} -> {text(item, 'path')}"
