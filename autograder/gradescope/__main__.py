"""Grades the submission in /autograder."""

import sys

from autograder.gradescope.harness import main

sys.exit(main())
