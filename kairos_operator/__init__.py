"""Upgrades and reboots the Kairos nodes of a Kubernetes cluster, and proves it."""

__version__ = "0.1.0"
