"""What a scenario says of the simulated nodes: values, all times in seconds before the fleet's speed is applied.

The defaults describe a healthy node whose upgrade works.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"

# flavour and so on, then the version, then the Kubernetes distribution with its own version
_KAIROS_TAG = re.compile(
    r"(?:^|-)(?P<version>v\d+\.\d+\.\d+(?:-rc\d+)?)-(?P<prefix>k3s|k0s)-?(?P<software>v\S+)$"
)


@dataclass(frozen=True, slots=True)
class Release:
    """What a system says of itself in /etc/kairos-release."""

    version: str
    prefix: str = "k3s"
    software: str = "v1.33.4+k3s1"

    @property
    def triple(self) -> str:
        """The version as the operator compares it."""
        return f"{self.version}-{self.prefix}{self.software}"

    def text(self) -> str:
        """The content of the release file."""
        return (
            f'KAIROS_ID="kairos"\nKAIROS_VERSION="{self.version}"\n'
            f'KAIROS_SOFTWARE_VERSION_PREFIX="{self.prefix}"\nKAIROS_SOFTWARE_VERSION="{self.software}"\n'
        )


def release_of_image(image: str) -> Release | None:
    """The release that the tag of a Kairos image tells, such as `...-generic-v3.4.2-k3sv1.30.11-k3s1`."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    found = _KAIROS_TAG.search(tag)
    return Release(found["version"], found["prefix"], found["software"]) if found else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a container whose command is not run."""

    exit_code: int = 0
    seconds: float = 1.0
    message: str = ""
    """Termination message."""
    log: str = ""
    hangs: bool = False
    pull_error: str = ""
    """Why the image cannot be pulled; the container then never starts."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Gives an outcome to the containers that match; patterns are shell globs."""

    outcome: Outcome
    container: str = "*"
    image: str = "*"
    pod: str = "*"
    times: int | None = None
    """How often it applies on one node; None is always."""

    def matches(self, container: str, image: str, pod: str) -> bool:
        """Whether the rule speaks of that container."""
        pairs = ((container, self.container), (image, self.image), (pod, self.pod))
        return all(fnmatchcase(text, pattern) for text, pattern in pairs)


@dataclass(frozen=True, slots=True)
class Agent:
    """How the node's kairos-agent does when the upgrade script calls it."""

    exit_code: int = 0
    seconds: float = 2.0
    says: str = ""


@dataclass(frozen=True, slots=True)
class Reboot:
    """How the node does when it is rebooted."""

    seconds: float = 20.0
    """From the request until the kubelet is back."""
    ready_after: float = 3.0
    """From then until the node is Ready."""
    comes_back: bool = True
    falls_back: bool = False
    """Whether the new system fails to start, so that the node boots its passive one."""
    same_boot_id: bool = False
    refused: str = ""
    """Why the reboot command fails; the node then stays up."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One simulated node."""

    name: str
    release: Release = field(default_factory=lambda: Release("v3.4.0"))
    labels: Mapping[str, str] = field(default_factory=dict)
    control_plane: bool = False
    agent: Agent = field(default_factory=Agent)
    reboot: Reboot = field(default_factory=Reboot)
    rules: tuple[Rule, ...] = ()
    start_seconds: float = 0.5
    """From a pod's binding until its first container runs (sandbox, image)."""
    stop_seconds: float = 0.5
    """What a container takes to end when its pod is deleted, within the grace period."""

    def all_labels(self) -> dict[str, str]:
        """The labels of the Node object."""
        own = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kairos.io/managed": "true",
        }
        if self.control_plane:
            own[CONTROL_PLANE_LABEL] = "true"
        return own | dict(self.labels)
