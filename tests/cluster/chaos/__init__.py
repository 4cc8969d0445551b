"""Chaos on real components: rollouts on a real control plane whose parts are killed, paused and frozen meanwhile."""
