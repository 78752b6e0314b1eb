"""nbgrader's settings for this course, which its commands and the formgrader read."""

from autograder import nbgrader_plugin
from vae_course.authoring import release

c = get_config()  # noqa: F821  nbgrader defines it
nbgrader_plugin.configure(c)
release.configure(c)
