"""Grading on Gradescope: the archive that is uploaded, and what runs there.

Gradescope unpacks the archive to /autograder/source, runs its setup.sh once, and then, for each
submission, run_autograder, which has to write /autograder/results/results.json. See
https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""
