"""Which submissions run alike: fingerprints, and the comparison of all pairs."""
