"""The three formats for nbgrader's own `nbgrader export --exporter=autograder.marks.plugins...`."""

from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.plugins import ExportPlugin
from traitlets import Bool, Unicode

from autograder.course import Course
from autograder.marks.export import Choice, write_marks
from autograder.marks.roster import roster_of
from vae_course.errors import CourseError


class _Export(ExportPlugin):
    """Writes marks in a format. Not to be used itself."""

    format = ""

    roster = Unicode("", help="CSV file of the class; by default students.csv.").tag(config=True)
    missing_zero = Bool(False, help="Give 0 points to who did not hand in.").tag(config=True)
    include_ungraded = Bool(
        False, help="Give the points until now where a person has to grade something yet."
    ).tag(config=True)
    column = Unicode("", help="The assignment's name in the other system.").tag(config=True)

    def export(self, gradebook: Gradebook) -> None:
        """Write the file that `--to` names, and log what is not in it."""
        try:
            course = Course(self.parent.coursedir.root)
            written = write_marks(
                course,
                gradebook,
                [str(name) for name in self.assignment],
                roster_of(course, gradebook, Path(self.roster) if self.roster else None),
                Choice(
                    self.format,
                    self.missing_zero,
                    self.include_ungraded,
                    self.column or None,
                    tuple(str(student) for student in self.student),
                ),
                Path(self.to) if self.to else None,
            )
        except CourseError as error:
            self.parent.fail(str(error))
        for path, lines in written.files.items():
            self.log.info("Exported %s lines to %s", lines, path)
        for line in written.remarks:
            self.log.info("%s", line)
        for line in written.left_out:
            self.log.warning("Not exported: %s", line)


class CsvExport(_Export):
    """A line for each student and assignment."""

    format = "csv"


class CanvasExport(_Export):
    """What Canvas's gradebook imports."""

    format = "canvas"


class MoodleExport(_Export):
    """What Moodle's gradebook imports."""

    format = "moodle"
