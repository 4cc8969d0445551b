"""What is legal and risky, said in the `Warning:` lines of kubectl.

Each warning is one short sentence that names the field and the way out. A value that is wrong has faults, and an
update that leaves the spec alone has been warned of before: neither is warned of here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kairos_operator.api.nodeop import NodeOpSpec
from kairos_operator.api.nodeopupgrade import NodeOpUpgradeSpec
from kairos_operator.api.resources import Resource
from kairos_operator.api.selectors import LabelSelector
from webhooks.lookups import Labels, Lookups, control_planes
from webhooks.references import parse_image
from webhooks.structure import Spec, read_spec

ENFORCE_LABEL = "pod-security.kubernetes.io/enforce"
REFUSING_LEVELS = ("baseline", "restricted")
MAX_WARNINGS = 5
SHOWN_IMAGE = 80


def warnings_for(resource: Resource, obj: Mapping[str, Any], namespace: str, lookups: Lookups) -> list[str]:
    """The warnings about an object, the gravest first; none about one that has faults."""
    spec, _ = read_spec(resource.kind, obj["spec"], ("spec",))
    return risks_of(spec, namespace, lookups) if spec is not None else []


def risks_of(spec: Spec, namespace: str, lookups: Lookups, old: Mapping[str, Any] | None = None) -> list[str]:
    """The warnings about a faultless object with this spec; `old` is what an update replaces."""
    found = [
        *_namespace(namespace, lookups),
        *_selector(spec.node_selector),
        *_partitions(spec),
        *_targets(spec, lookups),
        *_images(spec, old),
    ]
    return found[:MAX_WARNINGS]


def _namespace(namespace: str, lookups: Lookups) -> Iterator[str]:
    labels = lookups.namespace_labels(namespace)
    level = labels.get(ENFORCE_LABEL) if labels is not None else None
    if level in REFUSING_LEVELS:
        yield (
            f'namespace "{namespace}" enforces the Pod Security level "{level}", which refuses the privileged '
            "pods of the operation: use a namespace with level privileged"
        )


def _selector(selector: LabelSelector | None) -> Iterator[str]:
    """The API server drops a label whose value is null, so that `control-plane:` alone would select every node."""
    if selector is not None and selector.match_labels == {} and not selector.match_expressions:
        yield (
            "spec.nodeSelector.matchLabels: is empty and selects every node: "
            "a label without a value has to be written with one, as in \"key: ''\""
        )


def _partitions(spec: Spec) -> Iterator[str]:
    if isinstance(spec, NodeOpUpgradeSpec) and not (spec.upgrade_active or spec.upgrade_recovery):
        yield (
            "spec.upgradeActive: is false, and so is spec.upgradeRecovery: the active partition is written, "
            "and nothing reboots into it or verifies it: set one of them to true"
        )


def _targets(spec: Spec, lookups: Lookups) -> Iterator[str]:
    """Looks at as few of the nodes as it can: there may be thousands, and reviews have to be quick."""
    nodes = lookups.node_labels()
    if nodes is None:
        return
    if not any(_selected(spec.node_selector, nodes)):
        yield "spec.nodeSelector: matches no node at present: the operation would complete without doing anything"
        return
    if not _reboots(spec) or spec.concurrency == 1:
        return
    members = control_planes(nodes)
    together = sum(_selected(spec.node_selector, members))
    together = min(together, spec.concurrency) if spec.concurrency else together
    quorum = len(members) // 2 + 1  # etcd's
    if together > 1 and len(members) - together < quorum:
        how = "0 means all nodes at once" if spec.concurrency == 0 else "control-plane nodes come first"
        yield (
            f"spec.concurrency: {spec.concurrency} reboots {together} of {len(members)} control-plane nodes at once"
            f" ({how}): the API may be gone meanwhile; use 1"
        )


def _selected(selector: LabelSelector | None, nodes: Collection[Labels]) -> Iterator[bool]:
    """Whether each of the nodes is selected, one after the other."""
    pairs = list(((selector.match_labels if selector else None) or {}).items())
    requirements = (selector.match_expressions if selector else None) or []
    for labels in nodes:
        if all(labels.get(key) == value for key, value in pairs) if pairs else True:
            yield all(requirement.matches(labels) for requirement in requirements) if requirements else True
        else:
            yield False


def _reboots(spec: Spec) -> bool:
    return spec.upgrade_active if isinstance(spec, NodeOpUpgradeSpec) else spec.reboot_on_success


def _images(spec: Spec, old: Mapping[str, Any] | None) -> Iterator[str]:
    images = {"spec.image": spec.image}
    if isinstance(spec, NodeOpSpec):
        checks = {"preflight": spec.preflight, "postflight": spec.postflight}
        images |= {f"spec.{name}.image": check.image for name, check in checks.items() if check is not None}
        for field, image in images.items():
            if _left_behind(spec, image, old):
                yield f"{field}: still {_short(image)}, which spec.image no longer is: leave it out or change it too"
    said = set()
    for field, image in images.items():
        if image is not None and image not in said and parse_image(image).floats:
            said.add(image)
            yield f"{field}: {_short(image)} may be another image on each node: use a fixed tag or a digest"


def _left_behind(spec: NodeOpSpec, image: str | None, old: Mapping[str, Any] | None) -> bool:
    """Whether a check's image was filled in from a spec.image that has been corrected since."""
    before = (old or {}).get("spec")
    return (
        image is not None
        and image != spec.image
        and isinstance(before, dict)
        and image == before.get("image")
    )


def _short(image: str | None) -> str:
    text = image or ""
    return f'"{text}"' if len(text) <= SHOWN_IMAGE else f'"{text[:SHOWN_IMAGE]}..."'
