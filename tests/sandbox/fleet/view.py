"""What an outside observer sees of one simulated node."""

from __future__ import annotations

from dataclasses import dataclass

from tests.sandbox.fleet.files import FileDisk
from tests.sandbox.fleet.journal import Journal, Record
from tests.sandbox.fleet.kubelet import Kubelet, Power
from tests.sandbox.fleet.spec import NodeSpec


@dataclass(frozen=True, slots=True)
class NodeView:
    """Facts about a node that do not come from the API server."""

    kubelet: Kubelet
    journal: Journal

    @property
    def spec(self) -> NodeSpec:
        return self.kubelet.spec

    @property
    def version(self) -> str:
        """The version triple that the node runs now."""
        return self.kubelet.disk.running.triple

    @property
    def recovery_version(self) -> str:
        """The version triple of its recovery system."""
        return self.kubelet.disk.system("recovery").triple

    @property
    def boots(self) -> int:
        """How often it has booted; 1 for a node that was never rebooted."""
        return self.kubelet.disk.boots

    @property
    def boot_id(self) -> str:
        return self.kubelet.disk.boot_id

    @property
    def power(self) -> Power:
        return self.kubelet.power

    @property
    def ready(self) -> bool:
        return self.kubelet.ready

    @property
    def commands_run(self) -> list[Record]:
        """Every container that ended, with `program` and `real` telling what really ran."""
        return self.journal.of(self.kubelet.name, "end")

    @property
    def programs_run(self) -> list[str]:
        """The operator's programs that ran to an end, in order."""
        return [record.program for record in self.commands_run if record.program]

    @property
    def calls(self) -> list[str]:
        """What real scripts called mount, kairos-agent and nsenter with."""
        disk = self.kubelet.disk
        return disk.calls if isinstance(disk, FileDisk) else []
