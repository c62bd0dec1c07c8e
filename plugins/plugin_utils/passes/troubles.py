# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes says when a pod or a volume does not get going, what it means, and what to do about it.

What the API server says when it refuses a pod is in `kube.refusals`.

One row each, the special ones before the general ones: the first row that fits is the right one. docs/reference/conditions.md
is made from the table. Where the words come from, in the sources of Kubernetes 1.29 to 1.37:
pkg/kubelet/events/event.go, pkg/controller/volume/events/event.go, pkg/volume, pkg/scheduler/framework/plugins,
pkg/kubelet/eviction; of external-provisioner its controller; of containerd and mount.nfs what they print.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from ..components.reasons import Reason

__all__ = ["TROUBLES", "Source", "Trouble", "recognise"]


class Source(StrEnum):
    """Who tells of a trouble."""

    SCHEDULER = "condition `PodScheduled` of a pod"
    CLAIM = "Event of a claim"
    POD = "Event of a pod"
    STATUS = "status of a pod"
    CONTAINER = "state of a container"


MINUTE = 60.0
HOUR = 60 * MINUTE
FOR_EVER = float("inf")

NODE_OFF_FOR_GOOD = (
    "Delete its Node object only if that machine is switched off for good and no volume of the instance is on its "
    "disks: if it is still running unnoticed, a second database could start on the same files, and some storage "
    "drivers delete a node's volumes along with it"
)
"""Kubernetes lets go of the pods and volumes of a node whose object is deleted. TopoLVM deletes its claims with it
(docs/topolvm-controller.md there). So no message has the command ready."""


class Trouble(NamedTuple):
    """One thing that goes wrong."""

    source: Source
    sign: str
    """The reason of the Event, the condition or the state, as Kubernetes spells it; `OutOf*` is any that begins so."""
    words: str
    """A regular expression that the message matches, in lower or upper case; "" for any message."""
    reason: Reason
    example: str
    """A message that fits."""
    advice: str
    """What to do, a clause without a full stop. NODE stands for the node of the pod."""
    patience_s: float = 0.0
    """How long it may heal by itself. After that somebody has to act."""
    quiet_s: float = 0.0
    """For how long it is part of a usual start, and not worth a word."""
    is_quoted: bool = True
    """Whether the message is told. Not where it is another one each time."""


_SCHEDULER = (
    (
        r"untolerated taint.*disk-pressure",
        "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }.",
        "free up disk space on the node: unused images, logs, temporary files of other pods",
    ),
    (
        r"untolerated taint.*memory-pressure",
        "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/memory-pressure: }.",
        "free up memory on the node, or add a node",
    ),
    (
        r"untolerated taint.*(not-ready|unreachable)",
        "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }.",
        "the node does not respond: start it, or check its kubelet and network",
    ),
    (
        r"were unschedulable|node\.kubernetes\.io/unschedulable",
        "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available.",
        "the node is cordoned: run kubectl uncordon NODE once its maintenance is over",
    ),
    (
        r"scheduling gates",
        "waiting for scheduling gates: [kueue.x-k8s.io/admission]",
        "something in the cluster holds the pod back until it removes its gate: check the program that the gate is named after",
    ),
    (
        r'persistentvolumeclaim "[^"]*" not found',
        '0/1 nodes are available: persistentvolumeclaim "photos-library" not found.',
        "create the claim that the message names, or correct its name",
    ),
    (
        r'persistentvolumeclaim "[^"]*" is being deleted',
        '0/1 nodes are available: persistentvolumeclaim "photos-ml-cache" is being deleted.',
        "no pod can start with a claim that is being deleted: it goes once no other pod uses it",
    ),
    (
        r"non-existent (pv|persistentvolume)",
        "0/1 nodes are available: 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).",
        "the PersistentVolume of a claim is gone: create it again for the same disk, if that still exists, or restore a backup",
    ),
    (
        r"ReadWriteOncePod",
        "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already "
        "in-use by another pod.",
        "another pod uses the volume, and only one may: delete that pod if it is not needed",
    ),
    (
        r"volume node affinity conflict|didn't match PersistentVolume's node affinity|no available volume zone",
        "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
        "the volume is on a node or in a zone where the pod may not run: check the component's nodeSelector and "
        "affinity, and whether that node still exists",
    ),
    (
        r"didn't match Pod's node (affinity|selector)|didn't match node selector",
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        "correct the component's nodeSelector or affinity, or label a node to match",
    ),
    (
        r"anti-affinity|didn't match pod affinity|topology spread",
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
        "too few nodes satisfy the component's affinity: relax it, or add a node",
    ),
    (
        r"didn't find available persistent volumes to bind|did not have enough free storage",
        "0/1 nodes are available: 1 node(s) did not have enough free storage.",
        "no node can have a volume of that class and size: add capacity to the storage or a PersistentVolume, or request a "
        "smaller size",
    ),
    (
        r"exceed max volume count",
        "0/1 nodes are available: 1 node(s) exceed max volume count.",
        "the node has reached its limit of attached volumes: add a node, or move other pods away",
    ),
    (
        r"Too many pods",
        "0/1 nodes are available: 1 Too many pods.",
        "the node has reached its limit of pods: add a node, or raise maxPods in the configuration of its kubelet",
    ),
    (
        r"Insufficient [a-z0-9.-]*/",
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        "no node has such a device free: check the device plugin, or remove the device from the component's resources",
    ),
    (
        r"Insufficient ",
        "0/3 nodes are available: 3 Insufficient memory.",
        "lower the requests in the component's resources, or add a node",
    ),
    (
        r"untolerated taint {",
        "0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: games}.",
        "add a matching toleration to the component's tolerations, or remove the taint from a node",
    ),
    (
        r"untolerated taint",
        "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
        "kubectl describe nodes shows the taints: not-ready, unreachable and pressure go away with the problem of the node; for "
        "any other add a matching toleration to the component's tolerations, or remove it from a node",
    ),
    (
        r"no nodes available",
        "no nodes available to schedule pods",
        "the cluster has no node: add one, or check why its autoscaler does not",
    ),
    (
        "",
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
        "see what the message says about each node",
    ),
)

_CLAIM = (
    Trouble(
        Source.CLAIM,
        "ProvisioningFailed",
        r"storageclass.*not found",
        Reason.VOLUME_NOT_PROVIDED,
        'storageclass.storage.k8s.io "fast" not found',
        "create the StorageClass, or delete the pending claim and name another class",
    ),
    Trouble(
        Source.CLAIM,
        "ProvisioningFailed",
        r"quota",
        Reason.VOLUME_NOT_PROVIDED,
        'failed to provision volume with StorageClass "standard": rpc error: code = ResourceExhausted desc = quota exceeded',
        "raise the storage quota, or request a smaller size",
    ),
    Trouble(
        Source.CLAIM,
        "ProvisioningFailed",
        r"ResourceExhausted|insufficient|not enough|out of space|no space",
        Reason.VOLUME_NOT_PROVIDED,
        'failed to provision volume with StorageClass "longhorn": rpc error: code = ResourceExhausted desc = insufficient '
        "storage",
        "the storage is full: add capacity, or request a smaller size",
    ),
    Trouble(
        Source.CLAIM,
        "ProvisioningFailed",
        r"denied|forbidden|unauthorized|unauthenticated|not authorized",
        Reason.VOLUME_NOT_PROVIDED,
        'failed to provision volume with StorageClass "ebs": rpc error: code = PermissionDenied desc = not authorized to '
        "perform: ec2:CreateVolume",
        "the provisioner lacks permissions: check its credentials and its log",
    ),
    Trouble(
        Source.CLAIM,
        "ProvisioningFailed",
        r"access ?mode|ReadWriteMany|not support",
        Reason.VOLUME_NOT_PROVIDED,
        'failed to provision volume with StorageClass "local-path": NodePath only supports ReadWriteOnce and '
        "ReadWriteOncePod (1.22+) access modes",
        "the class does not support this access mode: name another class or another mode",
    ),
    Trouble(
        Source.CLAIM,
        "ProvisioningFailed",
        r"topology|accessibility requirements",
        Reason.VOLUME_NOT_PROVIDED,
        'failed to provision volume with StorageClass "csi": error generating accessibility requirements: no topology key found '
        "on CSINode node-1",
        "the storage driver does not run on the pod's node: check its DaemonSet",
        patience_s=3 * MINUTE,
    ),
    Trouble(
        Source.CLAIM,
        "ProvisioningFailed",
        "",
        Reason.VOLUME_NOT_PROVIDED,
        'failed to provision volume with StorageClass "ceph": rpc error: code = DeadlineExceeded desc = context deadline '
        "exceeded",
        "check the provisioner's log",
        patience_s=5 * MINUTE,
    ),
    Trouble(
        Source.CLAIM,
        "FailedBinding",
        r"no storage class is set",
        Reason.VOLUME_NOT_PROVIDED,
        "no persistent volumes available for this claim and no storage class is set",
        "the cluster has no default StorageClass: mark one as the default, or name one in the component's storageClass",
    ),
    Trouble(
        Source.CLAIM,
        "FailedBinding",
        "",
        Reason.VOLUME_NOT_PROVIDED,
        'volume "nas" already bound to a different claim.',
        "create a PersistentVolume that fits the claim, or name another one",
    ),
    Trouble(
        Source.CLAIM,
        "VolumeMismatch",
        "",
        Reason.VOLUME_NOT_PROVIDED,
        'Cannot bind to requested volume "nas": storageClassName does not match',
        "the claim and the PersistentVolume that it names do not match: make their size, class and access modes agree",
    ),
    Trouble(
        Source.CLAIM,
        "ClaimLost",
        "",
        Reason.VOLUME_LOST,
        "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
        "create a PersistentVolume of the same name for the disk if it still exists, or restore a backup",
    ),
    Trouble(
        Source.CLAIM,
        "ClaimMisbound",
        "",
        Reason.VOLUME_LOST,
        "Two claims are bound to the same volume, this one is bound incorrectly",
        "give the claim a volume of its own",
    ),
    Trouble(
        Source.CLAIM,
        "WaitForPodScheduled",
        "",
        Reason.VOLUME_NOT_BOUND,
        "waiting for pod photos-server-0 to be scheduled",
        "it gets a volume once its pod has been scheduled",
        patience_s=FOR_EVER,
        is_quoted=False,
    ),
    Trouble(
        Source.CLAIM,
        "WaitForFirstConsumer",
        "",
        Reason.VOLUME_NOT_BOUND,
        "waiting for first consumer to be created before binding",
        "it gets a volume once its pod has been scheduled",
        patience_s=FOR_EVER,
    ),
    Trouble(
        Source.CLAIM,
        "ExternalProvisioning",
        "",
        Reason.VOLUME_NOT_PROVIDED,
        "Waiting for a volume to be created either by the external provisioner 'nfs.example.com' or manually by the system "
        "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
        "check whether the provisioner is running, and its log",
        patience_s=5 * MINUTE,
    ),
    Trouble(
        Source.CLAIM,
        "Provisioning",
        "",
        Reason.VOLUME_NOT_PROVIDED,
        'External provisioner is provisioning volume for claim "family/photos-library"',
        "check the provisioner's log",
        patience_s=5 * MINUTE,
    ),
)

_ATTACH = (
    Trouble(
        Source.POD,
        "FailedAttachVolume",
        r"Multi-Attach",
        Reason.VOLUME_NOT_ATTACHED,
        'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node and can\'t be attached to '
        "another",
        "the volume is still attached to another node: delete the pod that uses it there. " + NODE_OFF_FOR_GOOD,
        patience_s=7 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedAttachVolume",
        r"(maximum|limit|exceed|too many).*(volume|attach|disk)|(volume|attach|disk).*(maximum|limit exceeded)",
        Reason.VOLUME_NOT_ATTACHED,
        'AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = maximum number of disks for the '
        "node is reached",
        "the node has reached its limit of attached volumes: add a node, or move other pods away",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedAttachVolume",
        r"not found|NotFound|does not exist",
        Reason.VOLUME_NOT_ATTACHED,
        'AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = NotFound desc = volume vol-1 not found',
        "the storage system does not know the disk: check whether it was deleted there before you change anything else",
        patience_s=MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedAttachVolume",
        r"CSINode .* does not contain driver|driver name .* not found",
        Reason.VOLUME_NOT_ATTACHED,
        'AttachVolume.Attach failed for volume "pvc-1" : CSINode node-1 does not contain driver csi.example.com',
        "the storage driver is not running on that node: check its DaemonSet",
        patience_s=3 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedAttachVolume",
        "",
        Reason.VOLUME_NOT_ATTACHED,
        'AttachVolume.Attach failed for volume "pvc-1" : timed out waiting for external-attacher of csi.example.com CSI driver '
        "to attach volume vol-1",
        "check the storage driver's log",
        patience_s=3 * MINUTE,
    ),
)

_MOUNT = (
    Trouble(
        Source.POD,
        "FailedMount",
        r"failed to sync (configmap|secret) cache",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "config" : failed to sync configmap cache: timed out waiting for the condition',
        "the node does not get answers from the API server in time: check its kubelet",
        patience_s=5 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r'(secret|configmap) "[^"]*" not found|non-existent (secret|config) key',
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "certificates" : secret "certificates" not found',
        "create the object or the key that the message names",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"applyFSGroup|\bl?chown\b",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "pvc-1" : applyFSGroup failed for vol nas: lchown /var/lib/kubelet/x: operation not '
        "permitted",
        "the storage lets nobody change the owner of files, as NFS with root_squash does: remove fsGroup from the component's "
        "podSecurityContext, and give the files to the pod's user on the storage itself",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"read-only file system",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "pvc-1" : mkdir /var/lib/kubelet/pods/x/volumes: read-only file system',
        "a file system of the node is read-only, often after a fault of its disk: see the kernel log of the node",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"protocol not supported|transport protocol is not supported|NFS version",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "library" : mount failed: exit status 32 Output: mount.nfs: requested NFS version '
        "or transport protocol is not supported",
        "server and node share no version of the protocol: name one that both have in mountOptions of the PersistentVolume or "
        "StorageClass, such as nfsvers=4.1",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"rpc\.statd|rpcbind",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "library" : mount failed: exit status 32 Output: mount.nfs: rpc.statd is not '
        "running but is required for remote locking.",
        "start rpcbind and rpc-statd on the node, or use NFS 4, which needs neither",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"bad superblock on /dev/|duplicate UUID",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.MountDevice failed for volume "pvc-1" : mount failed: exit status 32 Output: mount: /var/lib/kubelet/x: '
        "wrong fs type, bad option, bad superblock on /dev/vdb, missing codepage or helper program, or other error.",
        "the node can't read the file system of the disk, which may be damaged or a copy of one that is mounted: see the kernel "
        "log of the node, copy the disk before anything else, and let nothing format it",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"transport endpoint is not connected|socket not connected",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "library" : stat /var/lib/kubelet/x: transport endpoint is not connected',
        "the program that mounts such volumes has ended on the node: check the storage driver there, then delete the pod",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"access denied|permission denied|operation not permitted|PermissionDenied",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "library" : mount failed: exit status 32 Output: mount.nfs: access denied by '
        "server while mounting 192.0.2.1:/photos",
        "the storage server denies the nodes access: allow their addresses in its export, or correct the user and "
        "password of the share",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"bad option|mount program|unknown filesystem type|wrong fs type|executable file not found",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "library" : mount failed: exit status 32 Output: mount: /var/lib/kubelet/x: bad '
        "option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program.",
        "the node lacks the program that mounts such volumes: install nfs-common, cifs-utils or similar on every node",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"superblock|needs cleaning|fsck|Input/output error|bad magic",
        Reason.VOLUME_NOT_MOUNTED,
        "MountVolume.MountDevice failed for volume \"pvc-1\" : 'fsck' found errors on device /dev/vdb but could not correct "
        "them",
        "the file system is damaged: copy the disk before anything else, then repair it; never format it",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"registered CSI drivers",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.MountDevice failed for volume "pvc-1" : kubernetes.io/csi: attacher.MountDevice failed to create newCsi'
        "DriverClient: driver name csi.example.com not found in the list of registered CSI drivers",
        "the storage driver is not running on that node: check its DaemonSet",
        patience_s=3 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"hostPath type check failed",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "library" : hostPath type check failed: /mnt/photos is not a directory',
        "create the folder on that node, or keep the pod on the node that has it",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"connection refused|connection timed out|no route to host|host is down|name or service not known|could(n't| not) resolve"
        r"|stale (NFS )?file handle|unreachable|temporary failure in name resolution",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "library" : mount failed: exit status 32 Output: mount.nfs: Connection timed out',
        "the node can't reach the storage server: check whether it is running, its name, and firewalls",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"no such file or directory|does not exist|doesn't exist|NotFound",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "library" : mount failed: exit status 32 Output: mount.nfs: mounting '
        "192.0.2.1:/photo failed, reason given by server: No such file or directory",
        "the storage server has no such folder or volume: correct the path, or check whether it was deleted",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"already mounted|mount point busy|resource busy|ReadWriteOncePod|in use",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Internal desc = /dev/vdb already mounted or mount '
        "point busy",
        "something else on the node is using the volume: delete the pod that has it",
        patience_s=3 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"no space left on device",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "config" : write /var/lib/kubelet/pods/x/..data: no space left on device',
        "free up disk space on the node",
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        r"^(?!.*timed out waiting for the condition)(?!.*context deadline exceeded)",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Aborted desc = an operation with the given volume '
        "already exists",
        "check the storage driver's log on that node",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedMount",
        "",
        Reason.VOLUME_NOT_MOUNTED,
        "Unable to attach or mount volumes: unmounted volumes=[library], unattached volumes=[], failed to process volumes=[]: "
        "timed out waiting for the condition",
        "check the storage driver's log, and whether the storage responds",
        patience_s=5 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedMapVolume",
        "",
        Reason.VOLUME_NOT_MOUNTED,
        'MapVolume.SetUpDevice failed for volume "pvc-1" : rpc error: code = Internal desc = device is busy',
        "check the storage driver's log on that node",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FileSystemResizeFailed",
        "",
        Reason.VOLUME_NOT_MOUNTED,
        'MountVolume.NodeExpandVolume failed for volume "pvc-1" : resize of device /dev/vdb failed',
        "check the storage driver's log on that node",
        patience_s=5 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "VolumePermissionChangeInProgress",
        "",
        Reason.VOLUME_NOT_MOUNTED,
        "Setting volume ownership for family/library and fsGroup set. If the volume has a lot of files then setting volume "
        "ownership could be slow",
        "the node is setting the owner of every file on the volume, which can take hours for a large library. To skip "
        "this next time, set fsGroupChangePolicy: OnRootMismatch in the component's podSecurityContext",
        patience_s=FOR_EVER,
        is_quoted=False,
    ),
)

_SANDBOX = (
    Trouble(
        Source.POD,
        "FailedCreatePodSandBox",
        r"no IP addresses available|failed to (assign|allocate).*\bIP\b|no available IP",
        Reason.POD_NOT_SET_UP,
        'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "0123456789ab": '
        'plugin type="host-local" failed (add): failed to allocate for range 0: no IP addresses available in range set',
        "the node has no IP address left for a pod: move other pods away, or give the node a larger range",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedCreatePodSandBox",
        r"no runtime for|runtime handler",
        Reason.POD_NOT_SET_UP,
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "
        '"nvidia" is configured',
        "the node lacks the runtime that the pod's RuntimeClass names: install it there, or keep the pod on nodes that have it",
    ),
    Trouble(
        Source.POD,
        "FailedCreatePodSandBox",
        r"OOM-killed|memory limit",
        Reason.POD_NOT_SET_UP,
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: runc create failed: "
        "container init was OOM-killed (memory limit too low?)",
        "raise the memory limit in the component's resources",
    ),
    Trouble(
        Source.POD,
        "FailedCreatePodSandBox",
        r"no space left on device",
        Reason.POD_NOT_SET_UP,
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: mkdir "
        "/run/containerd/x: no space left on device",
        "free up disk space on the node",
    ),
    Trouble(
        Source.POD,
        "FailedCreatePodSandBox",
        r"network|\bcni\b|plugin type=",
        Reason.POD_NOT_SET_UP,
        'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "0123456789ab": '
        'plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized',
        "check the network plugin's pods on that node",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedCreatePodSandBox",
        "",
        Reason.POD_NOT_SET_UP,
        "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "check the container runtime on that node",
        patience_s=3 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedCreatePodContainer",
        "",
        Reason.POD_NOT_SET_UP,
        "unable to ensure pod container exists: failed to create container for [kubepods burstable podx] : unable to create "
        "cgroup: no space left on device",
        "the node can't create the pod's control group: see the log of its kubelet",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedPodSandBoxStatus",
        "",
        Reason.POD_NOT_SET_UP,
        "Unable to get pod sandbox status: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "check the container runtime on that node",
        patience_s=3 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedSync",
        "",
        Reason.POD_NOT_SET_UP,
        "error determining status: rpc error: code = Unavailable desc = connection error: dial unix "
        "/run/containerd/containerd.sock: connect: connection refused",
        "check the container runtime on that node",
        patience_s=3 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "MissingClusterDNS",
        "",
        Reason.POD_NOT_SET_UP,
        'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to '
        '"Default" policy.',
        "pods on that node can't find Services by name: set clusterDNS in the configuration of its kubelet",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "NetworkNotReady",
        "",
        Reason.POD_NOT_SET_UP,
        "network is not ready: container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        "message:Network plugin returns error: cni plugin not initialized",
        "check the network plugin's pods on that node",
        patience_s=3 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedPrepareDynamicResources",
        "",
        Reason.POD_NOT_SET_UP,
        "Failed to prepare dynamic resources: prepare dynamic resources: NodePrepareResources failed: no such device",
        "check the device's driver on that node",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "NodeNotReady",
        "",
        Reason.NODE_LOST,
        "Node is not ready",
        "the node does not respond: start it, or check its kubelet and network. " + NODE_OFF_FOR_GOOD,
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "FailedKillPod",
        "",
        Reason.POD_NOT_SET_UP,
        'error killing pod: failed to "KillContainer" for "server" with KillContainerError: "rpc error: code = DeadlineExceeded '
        'desc = context deadline exceeded"',
        "check the container runtime on that node, and the storage that the pod uses: a process that waits for it can't be ended",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "TaintManagerEviction",
        r"^Marking",
        Reason.NODE_LOST,
        "Marking for deletion Pod family/photos-server-0",
        "a taint on the node evicts the pod: see kubectl describe node NODE",
        patience_s=2 * MINUTE,
        is_quoted=False,
    ),
)

_IMAGE_AND_CONTAINER = (
    Trouble(
        Source.POD,
        "Failed",
        r"pull image|ErrImagePull|ImagePullBackOff|inspect image|ErrImageNeverPull",
        Reason.IMAGE_PULL_FAILED,
        'Failed to pull image "ghcr.io/immich-app/immich-server:v9": rpc error: code = NotFound desc = failed to resolve '
        "reference: not found",
        "correct the image, name a pull secret in spec.imagePullSecrets, or check the node's network",
    ),
    Trouble(
        Source.POD,
        "Failed",
        r"^error making pod data directories",
        Reason.POD_NOT_SET_UP,
        "error making pod data directories: mkdir /var/lib/kubelet/pods/x: no space left on device",
        "check the disk of the node: it may be full or read-only",
        patience_s=MINUTE,
    ),
    Trouble(
        Source.POD,
        "Failed",
        "",
        Reason.CONTAINER_NOT_STARTED,
        'Error: failed to prepare subPath for volumeMount "library" of container "server"',
        "check what the message names",
        patience_s=MINUTE,
    ),
    Trouble(
        Source.POD,
        "InspectFailed",
        "",
        Reason.IMAGE_PULL_FAILED,
        'Failed to apply default image tag "Nope:": couldn\'t parse image name "Nope:": invalid reference format',
        "correct the image",
    ),
    Trouble(
        Source.POD,
        "BackOff",
        r"pulling image",
        Reason.IMAGE_PULL_FAILED,
        'Back-off pulling image "ghcr.io/immich-app/immich-server:v9"',
        "correct the image, name a pull secret in spec.imagePullSecrets, or check the node's network",
    ),
    Trouble(
        Source.POD,
        "Pulling",
        "",
        Reason.WAITING_FOR_ROLLOUT,
        'Pulling image "ghcr.io/immich-app/immich-machine-learning:v3.1.0-cuda"',
        "some images are several gigabytes in size; if it takes too long, check the node's network and disk",
        patience_s=FOR_EVER,
    ),
    Trouble(
        Source.POD,
        "FailedPostStartHook",
        "",
        Reason.CONTAINER_NOT_STARTED,
        "PostStartHook failed",
        "check the container's lifecycle hooks",
    ),
    Trouble(
        Source.POD,
        "Unhealthy",
        r"^Startup probe",
        Reason.PROBE_FAILING,
        'Startup probe failed: Get "http://10.244.0.7:2283/api/server/ping": dial tcp 10.244.0.7:2283: connect: connection '
        "refused",
        "the first start, and the first one of a new version, may take long because of migrations and indexes; see the"
        " container's log",
        patience_s=HOUR,
        quiet_s=2 * MINUTE,
    ),
    Trouble(
        Source.POD,
        "Unhealthy",
        r"^Readiness probe",
        Reason.PROBE_FAILING,
        "Readiness probe failed: HTTP probe failed with statuscode: 500",
        "see the container's log",
        patience_s=10 * MINUTE,
        quiet_s=MINUTE,
    ),
    Trouble(
        Source.POD,
        "Unhealthy",
        "",
        Reason.PROBE_FAILING,
        "Liveness probe failed: command timed out: pg_isready timed out after 5s",
        "see the container's log, and check whether the node is short of CPU, memory or disk",
        patience_s=10 * MINUTE,
        quiet_s=MINUTE,
    ),
)

_STATUS = (
    Trouble(
        Source.STATUS,
        "Evicted",
        r"^Usage of EmptyDir",
        Reason.POD_EVICTED,
        'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi".',
        "the component wrote more temporary files than that volume may hold: see its log; without readOnlyRootFilesystem in its "
        "securityContext it has no such limit",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "Evicted",
        r"limit of containers|local ephemeral storage limit",
        Reason.POD_EVICTED,
        "Pod ephemeral local storage usage exceeds the total limit of containers 32Mi.",
        "raise ephemeral-storage in the component's resources.limits",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "Evicted",
        r"ephemeral-storage|DiskPressure|nodefs|imagefs|inodes",
        Reason.POD_EVICTED,
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 3Gi.",
        "free up disk space on the node, or raise ephemeral-storage in the component's resources",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "Evicted",
        r"memory",
        Reason.POD_EVICTED,
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. Container server was using 3Gi, "
        "request is 0, has larger consumption of memory.",
        "raise the memory in the component's resources.requests to what it uses, or add memory to the node",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "Evicted",
        "",
        Reason.POD_EVICTED,
        "The node had condition: [PIDPressure].",
        "see kubectl describe node NODE",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "NodeShutdown",
        "",
        Reason.POD_EVICTED,
        "Pod was terminated in response to imminent node shutdown.",
        "start the node again, or let the pod run on another one",
        patience_s=5 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "Terminated",
        "",
        Reason.POD_EVICTED,
        "Pod was terminated in response to imminent node shutdown.",
        "start the node again, or let the pod run on another one",
        patience_s=5 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "OutOf*",
        "",
        Reason.POD_EVICTED,
        "Pod was rejected: Node didn't have enough resource: memory, requested: 4294967296, used: 1073741824, capacity: "
        "4119732224",
        "lower the requests in the component's resources, or add a node",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "NodeAffinity",
        "",
        Reason.POD_EVICTED,
        "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        "correct the component's nodeSelector or affinity, or label a node to match",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "TopologyAffinityError",
        "",
        Reason.POD_EVICTED,
        "Pod was rejected: Resources cannot be allocated with Topology locality",
        "lower the CPU and devices in the component's resources, or relax topologyManagerPolicy of the kubelet",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "AppArmor",
        "",
        Reason.POD_EVICTED,
        'Pod was rejected: Cannot enforce AppArmor: profile "localhost/photos" is not loaded',
        "load the profile on the node, or remove it from the component's securityContext",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "SysctlForbidden",
        "",
        Reason.POD_EVICTED,
        'Pod was rejected: forbidden sysctl: "net.core.somaxconn" not allowlisted',
        "allow it in allowedUnsafeSysctls in the configuration of the kubelet, or remove it from the component's "
        "podSecurityContext",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "UnexpectedAdmissionError",
        "",
        Reason.POD_EVICTED,
        "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices "
        "nvidia.com/gpu, which is unexpected",
        "check the device plugin on that node",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "Preempt*",
        "",
        Reason.POD_EVICTED,
        "Preempted in order to admit critical pod",
        "give the component a higher priority, or add a node",
        patience_s=2 * MINUTE,
    ),
    Trouble(
        Source.STATUS,
        "NodeLost",
        "",
        Reason.NODE_LOST,
        "Node node-1 which was running pod photos-server-0 is unresponsive",
        "the node does not respond: start it, or check its kubelet and network. " + NODE_OFF_FOR_GOOD,
        patience_s=2 * MINUTE,
    ),
)

_PULLS = (
    (
        r"ErrImageNeverPull|pull policy of Never",
        'Container image "ghcr.io/immich-app/immich-server:v3.1.0" is not present with pull policy of Never',
        "the node does not have the image and may not pull it: load it there, or change the component's imagePullPolicy",
    ),
    (
        r"SignatureValidationFailed|signature",
        "SignatureValidationFailed: image signature validation failed: no signature exists",
        "the node accepts only signed images: check its policy, or use an image that is signed",
    ),
    (
        r"does not exist or may require",
        "pull access denied, repository does not exist or may require authorization",
        "the registry has no such image, or requires a pull secret in spec.imagePullSecrets",
    ),
    (
        r"no match for platform|exec format error",
        "no match for platform in manifest: not found",
        "the image is not built for the CPU architecture of that node",
    ),
    (
        r"not found|manifest unknown|does not exist",
        "failed to resolve reference: ghcr.io/immich-app/immich-server:v9: not found",
        "the registry has no such image or tag",
    ),
    (
        r"unauthorized|denied|authentication|forbidden",
        "unexpected status from HEAD request to https://registry.example.com/v2/x: 401 Unauthorized",
        "the registry denies access; name a pull secret in spec.imagePullSecrets",
    ),
    (
        r"toomanyrequests|rate limit",
        "429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit",
        "the registry limits the rate of pulls; wait, or name a pull secret in spec.imagePullSecrets",
    ),
    (
        r"x509|tls: |HTTP response to HTTPS client",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "the node does not trust the registry's certificate; add its CA to the container runtime there",
    ),
    (
        r"no space left on device",
        "failed to extract layer: write /var/lib/containerd/x: no space left on device",
        "free up disk space on the node",
    ),
    (
        r"no such host|dial tcp|timeout|deadline exceeded|connection refused|connection reset",
        "failed to do request: dial tcp: lookup ghcr.io on 10.96.0.10:53: no such host",
        "the registry can't be reached from the node",
    ),
    (
        r"InvalidImageName|invalid reference",
        "couldn't parse image name: invalid reference format",
        "the image reference is malformed",
    ),
    ("", "Back-off pulling image", "check the image name, spec.imagePullSecrets and the registry"),
)

_STARTS = (
    (
        r"seccomp|apparmor",
        'cannot load seccomp profile "/var/lib/kubelet/seccomp/photos.json": no such file or directory',
        "put the profile on the node, or remove it from the component's securityContext",
    ),
    (
        r"unable to find user|no users found|no matching entries in passwd",
        "unable to find user photos: no matching entries in passwd file",
        "the image has no such user: give runAsUser as a number, or use another image",
    ),
    (
        r"nvidia|/dev/dri|cdi device|no such device|device driver",
        "failed to create containerd task: nvidia-container-cli: initialization error: nvml error: driver not loaded",
        "the device's driver does not work on that node: check it there, or remove the device from the component's resources",
    ),
    (
        r"exec: .*permission denied",
        'exec: "/entrypoint.sh": permission denied',
        "the pod's user may not run the program of the image: check runAsUser, or use another image",
    ),
    (
        r"exec format error",
        "failed to create containerd task: exec format error",
        "the image is not built for the CPU architecture of that node",
    ),
    (
        r"run as root|non-numeric user|runAsNonRoot",
        "container has runAsNonRoot and image will run as root",
        "set runAsUser in the component's podSecurityContext",
    ),
    (
        r"subPath",
        'failed to prepare subPath for volumeMount "library" of container "server"',
        "check whether the folder exists, and who may read it",
    ),
    (
        r"minimum memory|memory limit|OOM-killed",
        "Error response: minimum memory limit allowed is 6MB",
        "raise the memory limit in the component's resources",
    ),
    (
        r"executable file not found|no such file or directory",
        'exec: "bash": executable file not found in $PATH',
        "the image lacks a program or a file: check that it is the image that the component needs",
    ),
    (
        r"secret|configmap",
        'secret "db" not found',
        "create what the message names, or correct the reference",
    ),
    ("", "context deadline exceeded", "check what the message names"),
)

_ENDINGS = (
    (
        "ContainerStatusUnknown",
        "137",
        "the node lost sight of the container, as after a restart: kubectl describe node shows whether it is well",
    ),
    ("OOMKilled", "137", "it needs a higher memory limit in resources"),
    ("StartError", "128", "the image lacks the program, or is built for another CPU architecture"),
    ("ContainerCannotRun", "127", "the image lacks the program, or is built for another CPU architecture"),
    (
        "exit code 132",
        "132",
        "the CPU lacks instructions that the program uses, as is the case with old CPUs and some virtual machines",
    ),
    (
        "exit code 126",
        "126",
        "the pod's user may not run the program of the image: check runAsUser, or use another image",
    ),
    ("exit code 127", "127", "the image lacks the program: check whether it is the one that the component needs"),
    ("exit code 134", "134", "the program aborted: its log has the reason"),
    (
        "exit code 135",
        "135",
        "the program got memory that the node could not give it: with huge pages on the node, allow them in the component's "
        "resources",
    ),
    (
        "exit code 137",
        "137",
        "something killed the program: the node when it was short of memory, or the kubelet after its liveness probe failed",
    ),
    ("exit code 143", "143", "something asked the program to end: often the kubelet after its liveness probe failed"),
    ("exit code 139", "139", "the program crashed: check that the image is built for this CPU"),
)

TROUBLES: tuple[Trouble, ...] = (
    *(
        Trouble(Source.SCHEDULER, "FailedScheduling", words, Reason.POD_UNSCHEDULABLE, example, advice)
        for words, example, advice in _SCHEDULER
    ),
    *_CLAIM,
    *_ATTACH,
    *_MOUNT,
    *_SANDBOX,
    *_IMAGE_AND_CONTAINER,
    *_STATUS,
    *(
        Trouble(Source.CONTAINER, "ErrImagePull", words, Reason.IMAGE_PULL_FAILED, example, advice, is_quoted=False)
        for words, example, advice in _PULLS
    ),
    *(
        Trouble(Source.CONTAINER, "CreateContainerError", words, Reason.CONTAINER_NOT_STARTED, example, advice)
        for words, example, advice in _STARTS
    ),
    *(
        Trouble(Source.CONTAINER, sign, "", Reason.CRASH_LOOPING, code, advice, is_quoted=False)
        for sign, code, advice in _ENDINGS
    ),
)

_ROWS: dict[Source, list[tuple[Trouble, re.Pattern[str]]]] = {
    source: [(row, re.compile(row.words, re.IGNORECASE)) for row in TROUBLES if row.source is source]
    for source in Source
}


def recognise(source: Source, sign: str, message: str) -> Trouble | None:
    """The first row that fits; None when the sign is none of the table's, such as one that tells of success."""
    return next((row for row, words in _ROWS[source] if _is_sign(sign, row.sign) and words.search(message)), None)


def _is_sign(sign: str, known: str) -> bool:
    return sign.startswith(known[:-1]) if known.endswith("*") else sign == known
