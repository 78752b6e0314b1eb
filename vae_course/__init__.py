"""The solved course: what a student builds, and the given code around it."""
