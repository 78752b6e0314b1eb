"""nbgrader's settings for this course, which its commands and the formgrader read."""

from autograder import nbgrader_plugin
from vae_course.authoring import release

c = get_config()  # noqa: F821  nbgrader defines it
nbgrader_plugin.configure(c)
release.configure(c)

# What a late submission costs, once nbgrader knows when an assignment is due (docs/instructor.md).
c.AssignLatePenalties.plugin_class = "autograder.late_days.LateDays"
c.LateDays.free_days = 4
c.LateDays.penalty_per_day = 0.1
