"""Which submissions run alike: fingerprints, the comparison of all pairs, and a page to read."""
