"""The pure core: from a frozen `Snapshot` to a `Plan`. No await, clock, randomness or environment."""
