"""Which submissions are alike: fingerprints, and the comparison of all pairs."""
