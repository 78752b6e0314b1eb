"""How Sphinx makes a site of this folder: `make docs` writes it to build/docs.

Sphinx, MyST-Parser and Furo install from PyPI and then build without a network. mystmd, the other
tool that reads MyST, fetches its theme each time, so that a build may fail on another's bad day.
"""

import tomllib
from pathlib import Path

about = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = "Variational autoencoders: a course that grades itself"
release = about["version"]
language = "en"

extensions = ["myst_parser"]
myst_heading_anchors = 3  # page.md#heading, as on the pages of a git host
exclude_patterns = ["conf.py"]

html_theme = "furo"
html_title = "A course on VAEs: handbook"
html_static_path = ["_static"]
html_css_files = ["handbook.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}

linkcheck_timeout = 20
linkcheck_anchors = False  # Colab's and Canvas's pages write theirs by script
