"""The volumes of a pod or of a pod template: what kind each is, and its few parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from memtop.cluster.describe import amounts
from memtop.cluster.describe.claims import claim_lines
from memtop.cluster.describe.labels import LONGEST_ANNOTATION, cut, listed
from memtop.cluster.tree import Json, at, flag, has, labels, mapping, number, objects, text, texts

_KINDS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
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
        key = next((key for key in _KINDS if has(volume, key)), None)
        if key is None:
            yield "  <unknown>"
            continue
        words, parameters = _KINDS[key]
        source = mapping(volume, key)
        yield f"    Type:\t{words}"
        for title, field in parameters.items():
            yield f"    {title if title.endswith(chr(9)) else title + ':' + chr(9)}{_value(source, field)}"
        if key == "projected":
            yield from _projections(source)
        elif key == "downwardAPI":
            yield from _downward(source)
        elif key == "csi":
            yield from _attributes(labels(source, "volumeAttributes"))
        elif key == "ephemeral" and has(source, "volumeClaimTemplate"):
            yield from claim_lines(mapping(source, "volumeClaimTemplate"))


def _value(source: Json, field: str) -> str:
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
        amount = amounts.parse(value)
        return str(amount) if amount is not None and amount.value > 0 else default
    return value or default


def _attributes(attributes: dict[str, str]) -> Iterator[str]:
    """A CSI driver's parameters; kubectl indents their values once more."""
    lines = [f"    {cut(f'{name}={value}', LONGEST_ANNOTATION)}" for name, value in attributes.items()]
    yield from listed("    VolumeAttributes", lines, "    ")


def _projections(source: Json) -> Iterator[str]:
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


def _downward(source: Json) -> Iterator[str]:
    yield "    Items:"
    for item in objects(source, "items"):
        for key, field in (("fieldRef", "fieldPath"), ("resourceFieldRef", "resource")):
            if has(item, key):
                yield f"      {text(item, key, field)} -> {text(item, 'path')}"
