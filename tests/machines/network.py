"""The network of the enclosure: one bridge, and a veth for each machine.

Rules: pods have routable addresses (10.244.<machine>.0/24), so nothing is translated and no kube-proxy is needed for
the API server; the bridge routes between machines and is the way to the API server. All of it is in the enclosure's
network namespace, which has no other way out.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.machines.enclosure import check_enclosed
from tests.machines.plane import GATEWAY, SERVICE_ADDRESS

BRIDGE = "machines"
BRIDGE_MAC = "02:00:0a:4d:00:01"
TIMEOUT = 30


def address(index: int) -> str:
    """The address of a machine."""
    return f"10.77.0.{10 + index}"


def pod_range(index: int) -> str:
    """The addresses of a machine's pods."""
    return f"10.244.{index}.0/24"


def pod_network(index: int) -> dict[str, Any]:
    """The CNI configuration of a machine."""
    # Addresses are handed out anew after a reboot, in which all pods' namespaces have gone.
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": pod_range(index)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/cni",
    }
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "ipam": addresses},
            {"type": "loopback"},
        ],
    }


def build_bridge() -> None:
    """Makes the bridge. Raises subprocess.CalledProcessError."""
    check_enclosed()
    ip("link", "set", "lo", "up")
    ip("address", "add", f"{SERVICE_ADDRESS}/32", "dev", "lo")
    # With an address of its own: it would otherwise take the lowest of its ports', and change it as machines reboot.
    # The others would then send to the old one until their ARP entries are old, and be cut off for half a minute.
    ip("link", "add", BRIDGE, "address", BRIDGE_MAC, "type", "bridge")
    ip("address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    # `ip netns` keeps its names here; in this mount namespace only.
    run("mkdir", "-p", "/run/netns")
    run("mount", "-t", "tmpfs", "netns", "/run/netns")


def remove_bridge() -> None:
    """Undoes `build_bridge`, whatever of it was done, so that another cluster can follow."""
    check_enclosed()
    for command in (
        ["ip", "link", "delete", BRIDGE],
        ["ip", "address", "delete", f"{SERVICE_ADDRESS}/32", "dev", "lo"],
        ["umount", "--lazy", "/run/netns"],
    ):
        subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT)


def plug_in(name: str, index: int) -> None:
    """A fresh network namespace for a machine's boot, plugged into the bridge."""
    check_enclosed()
    ip("netns", "add", name)
    ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", f"to-{name}", "master", BRIDGE, "up")
    inside = ("-n", name)
    ip(*inside, "link", "set", "lo", "up")
    ip(*inside, "address", "add", f"{address(index)}/24", "dev", "eth0")
    ip(*inside, "link", "set", "eth0", "up")
    ip(*inside, "route", "add", "default", "via", GATEWAY)
    run("nsenter", f"--net=/run/netns/{name}", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    ip("route", "replace", pod_range(index), "via", address(index))


def unplug(name: str) -> None:
    """Removes a machine's network, whatever of it is there."""
    check_enclosed()
    for command in (("link", "delete", f"to-{name}"), ("netns", "delete", name)):
        subprocess.run(["ip", *command], check=False, capture_output=True, timeout=TIMEOUT)


def ip(*arguments: str) -> None:
    """Runs `ip`. Raises subprocess.CalledProcessError with its words on the terminal."""
    run("ip", *arguments)


def run(*command: str) -> None:
    """Runs a short command. Raises subprocess.CalledProcessError."""
    subprocess.run(command, check=True, timeout=TIMEOUT)


def as_json(index: int) -> str:
    """The CNI configuration as a file's text."""
    return json.dumps(pod_network(index))
