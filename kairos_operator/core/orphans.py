"""Claims on nodes whose operation no longer exists.

A deleted operation's finalizer lifts its cordons. Where that could not be (the finalizer was forced off, or the node
could not be written for too long), the annotation still names the operation by its UID: nobody else's cordon carries
it, so lifting it is what the deletion had promised; but never under another operation that works behind it.
"""

from __future__ import annotations

from kairos_operator.api.cluster import NodeView
from kairos_operator.api.names import Claim
from kairos_operator.core.actions import ReleaseNode


def claims_on(node: NodeView) -> tuple[Claim, ...]:
    """The operations that the node's annotations name; texts of another shape are not ours to judge."""
    found = {Claim.parse(text) for text in (node.claimed_by, node.cordoned_by) if text}
    return tuple(sorted(claim for claim in found if claim is not None))


def release(node: NodeView, gone: Claim) -> ReleaseNode | None:
    """The write that takes the operation `gone` off the node, or None where there is nothing to take off now."""
    text = str(gone)
    uncordon = node.cordoned_by == text and node.claimed_by in ("", text)
    if node.claimed_by != text and not uncordon:
        return None
    return ReleaseNode(node.name, node.resource_version, gone, uncordon)
