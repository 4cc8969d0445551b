"""Upgrades and reboots the Kairos nodes of a Kubernetes cluster, and proves it."""
