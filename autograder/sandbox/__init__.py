"""Runs what students wrote where it can see nothing and harm nobody."""
