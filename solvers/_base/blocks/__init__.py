"""Block coordinate descent: partitions, selection rules and updates, for every family that has blocks."""
