"""A simulated fleet of Kairos nodes: kubelets, leases, reboots and, if asked, the Job controller.

`Fleet` plays on any API server over HTTP. The models behind it (`Kubelet`, `JobController`) are pure and can be
stepped on a virtual clock instead; `offline.StoreFleet` does so on the in-memory store.
"""

from tests.sandbox.fleet.access import Access, from_kubeconfig
from tests.sandbox.fleet.fleet import Fleet, FleetOptions
from tests.sandbox.fleet.jobs import JobController
from tests.sandbox.fleet.journal import Journal, Record
from tests.sandbox.fleet.kubelet import Kubelet
from tests.sandbox.fleet.programs import modelled_programs, real_programs
from tests.sandbox.fleet.spec import Agent, NodeSpec, Outcome, Reboot, Release, Rule, release_of_image

__all__ = [
    "Access",
    "Agent",
    "Fleet",
    "FleetOptions",
    "JobController",
    "Journal",
    "Kubelet",
    "NodeSpec",
    "Outcome",
    "Reboot",
    "Record",
    "Release",
    "Rule",
    "from_kubeconfig",
    "modelled_programs",
    "real_programs",
    "release_of_image",
]
