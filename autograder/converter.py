"""nbgrader's converter for autograding, with its two passes made one.

nbgrader writes the restored notebook into autograded/, reads it again, and grades that. Whatever
stops it in between leaves a notebook there that looks graded and was not run.
"""

import functools
from pathlib import Path

from nbgrader import api, utils
from nbgrader.converters import Autograde


class AutogradeInOnePass(Autograde):
    """`Autograde`, with the same steps in the same order: they are told of the same folders.

    The steps are those of `Autograde`'s own configuration.
    """

    def convert_single_notebook(self, notebook_filename: str) -> None:
        resources = self.init_single_notebook_resources(notebook_filename)
        where = resources["nbgrader"]
        name = resources["unique_key"]
        folder = self._format_dest(where["assignment"], where["student"])
        Path(folder).mkdir(parents=True, exist_ok=True)  # it is not, where there are no files
        resources["metadata"] = {"name": name, "path": folder}  # cells run beside their files
        self.log.info("Autograding %s", notebook_filename)
        self.exporter._preprocessors = []
        for step in (*self.sanitize_preprocessors, *self.autograde_preprocessors):
            self.exporter.register_preprocessor(step)
        file = Path(notebook_filename).open(encoding="utf-8")
        with file, utils.setenv(NBGRADER_EXECUTION="autograde"):
            output, resources = self.exporter.from_file(file, resources)
        self.write_single_notebook(output, resources)


def keep_engines() -> None:
    """Have nbgrader use one database engine for a gradebook.

    It makes one each time it opens the gradebook, ten times a submission, and SQLAlchemy then works
    out anew what each query is in SQL.
    """
    if not hasattr(api.create_engine, "cache_info"):
        api.create_engine = functools.lru_cache(maxsize=4)(api.create_engine)
