"""Labels, annotations, finalizers and the names of children.

Names are derived, never random: a child's name is a function of the operation's UID, the node and the child's
role, so that "create" is the lock, and an operator that dies and restarts finds what it made before.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

LABEL_NODE_OP = "kairos.io/nodeop"
LABEL_NODE = "kairos.io/node"
LABEL_PREFLIGHT = "kairos.io/preflight"
LABEL_POSTFLIGHT = "kairos.io/postflight"
LABEL_REBOOT = "kairos.io/reboot"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_UPGRADE = "nodeopupgrade.kairos.io/name"
UPGRADE_CONTROLLER = "nodeopupgrade-controller"
LABEL_MANAGED_NODE = "kairos.io/managed"
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

ANNOTATION_REBOOT_STATE = "kairos.io/reboot-state"
ANNOTATION_REBOOT_BOOT_ID = "kairos.io/reboot-boot-id"
ANNOTATION_CORDONED_BY = "operator.kairos.io/cordoned-by"
ANNOTATION_CLAIMED_BY = "operator.kairos.io/claimed-by"
ANNOTATION_PAUSED = "operator.kairos.io/paused"
ANNOTATION_PAUSED_BY = "operator.kairos.io/paused-by"  # on a NodeOp: the pause came from its upgrade
ANNOTATION_HANDED_OVER = "operator.kairos.io/handed-over"  # on the Lease: what the last leader gave way to
# The long forms of what a label or a child's name may have had to shorten.
ANNOTATION_NODE_OP = "operator.kairos.io/nodeop"
ANNOTATION_NODE = "operator.kairos.io/node"

FINALIZER = "operator.kairos.io/cordons"

MAX_NAME = (
    63  # labels (and pod host names) end there: RFC 1123, apimachinery's validation.LabelValueMaxLength
)
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's rand.SafeEncodeString: no vowels, so no words


class Role(StrEnum):
    """What a child of an operation is for; the value is the part of its name that says so."""

    JOB = ""
    PREFLIGHT = "preflight"
    POSTFLIGHT = "postflight"
    REBOOT = "reboot"


ROLE_LABELS = {
    Role.PREFLIGHT: LABEL_PREFLIGHT,
    Role.POSTFLIGHT: LABEL_POSTFLIGHT,
    Role.REBOOT: LABEL_REBOOT,
}
"""What a pod of a role has as a label of its own, which reads "true"."""


class Claim(NamedTuple):
    """Who holds a node: one NodeOp, told apart by its UID from a later one of the same name."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}@{self.uid}"

    @property
    def operation(self) -> str:
        """The operation as users write it: `<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Claim | None:
        """The claim that an annotation holds, or None for a text of another shape."""
        operation, at, uid = text.rpartition("@")
        namespace, slash, name = operation.partition("/")
        if not (at and slash and namespace and name and uid) or "/" in name:
            return None
        return cls(namespace, name, uid)


def digest(*parts: str, length: int) -> str:
    """A short stable text of `length` characters that tells apart what `parts` tell apart."""
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest(), "big")
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)


def shortened(text: str, limit: int = MAX_NAME) -> str:
    """`text` itself where it fits into `limit`, else its head and a digest of the whole of it."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 9].rstrip('-._')}-{digest(text, length=8)}"


@lru_cache(maxsize=4096)  # asked for again at each look at a node in flight
def child_name(operation: str, uid: str, node: str, role: Role) -> str:
    """The name of an operation's child on a node, at most 63 characters for any legal names.

    A Job's reads `<operation>-<node>-<5 characters>`, a pod's `<operation>-<node>-<role>-<5 characters>`.
    """
    suffix = f"{role.value}-{digest(uid, node, role.value, length=5)}".lstrip("-")
    room = MAX_NAME - len(suffix) - 2
    if len(operation) + len(node) > room:
        half = room // 2
        operation = shortened(operation, max(half, room - len(node)))
        node = shortened(node, room - len(operation))
    return f"{operation}-{node}-{suffix}"


def job_name(operation: str, uid: str, node: str) -> str:
    """The name of the Job that runs the operation's command on a node."""
    return child_name(operation, uid, node, Role.JOB)
