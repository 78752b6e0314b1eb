"""Source notebooks: formats, ids that outlive insertions, and what each kind of cell holds."""

import ast
import re

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator

from vae_course.authoring.assignment import load_assignment
from vae_course.authoring.notebook import dumps, headings, loads, slug, source_notebook
from vae_course.authoring.outline import HAND_IN_TEXT, outline
from vae_course.handin import fingerprint, unfinished


def source(name="ps1"):
    return source_notebook(outline(load_assignment(name)))


def cells(name="ps1"):
    return {cell["id"]: cell for cell in source(name)["cells"]}


@pytest.mark.parametrize("name", ["ps1", "ps2"])
def test_jupyter_and_nbgrader_accept_it(tiny, name):
    node = nbformat.from_dict(source(name))
    nbformat.validate(node)
    MetadataValidator().validate_nb(node)
    assert (node.nbformat, node.nbformat_minor) == (4, 5)


def test_it_opens_with_the_badge_of_the_public_repository(tiny):
    first = source()["cells"][0]
    public = "https://colab.research.google.com/github/vae-course/notebooks"
    assert f"]({public}/blob/main/ps1/ps1.ipynb)" in first["source"]


def test_ids_are_names_and_sections_and_never_positions(tiny):
    before = [cell["id"] for cell in source()["cells"]]
    named = [id_ for id_ in before if not re.search("-[0-9a-f]{8}$", id_)]
    assert named == [
        *("colab-badge", "setup", "given-twice", "ps1_area_answer", "ps1_area_check"),
        *("ps1_area", "ps1_why", "ps1_explore", "hand-in"),
    ]
    tiny.change("ps1.md", "## Discs\n", "## Discs\n\n+++\n\nNew prose.\n\n```{code-cell}\n1\n```\n")
    after = [cell["id"] for cell in source()["cells"]]
    assert len(after) == len(before) + 2
    assert [id_ for id_ in after if id_ in before] == before
    assert all(id_.startswith("discs-") for id_ in set(after) - set(before))


def test_equal_cells_of_one_section_have_ids_of_their_own(tiny):
    tiny.change(
        "ps1.md", "## Words", "```{code-cell}\n1\n```\n\n```{code-cell}\n1\n```\n\n## Words"
    )
    ids = [cell["id"] for cell in source()["cells"]]
    assert len(set(ids)) == len(ids)


def test_a_new_helper_renames_no_given_cell(tiny):
    tiny.change("tinyref/maths.py", "return LEFT * x", "return _scale(LEFT, x)")
    assert "given-twice" in cells() and "given-_scale" not in cells()
    assert "def _scale" in cells()["given-twice"]["source"]


def test_grade_cell_says_what_is_graded_and_hides_two_lines(tiny):
    assert cells()["ps1_area"]["source"] == (
        "# Graded: areas of several discs (2 points)\n"
        "# Nothing to do here: the tests come in when your notebook is graded.\n"
        "### BEGIN HIDDEN TESTS\n"
        "from autograder import grade\n"
        'grade("ps1_area")\n'
        "### END HIDDEN TESTS"
    )


def test_long_given_code_is_folded_and_short_is_not(tiny):
    assert "cellView" not in cells()["given-twice"]["metadata"]
    tiny.change("ps1.md", "given: tinyref.maths.twice", "given: tinyref.maths.twice\nfold: true")
    folded = cells()["given-twice"]
    assert folded["metadata"]["cellView"] == "form"
    assert folded["metadata"]["jupyter"] == {"source_hidden": True}
    assert folded["source"].startswith("#@title Given: twice")
    tiny.change("ps1.md", "fold: true", "fold: false")
    tiny.change("tinyref/maths.py", '"""Two times x."""', '"""Two\n' + "\n" * 20 + '    x."""')
    assert "cellView" not in cells()["given-twice"]["metadata"]
    tiny.change("ps1.md", "fold: false\n", "")
    assert cells()["given-twice"]["metadata"]["cellView"] == "form"


def test_prose_and_plain_cells_carry_no_metadata(tiny):
    for cell in source()["cells"]:
        nbgrader = cell["metadata"].get("nbgrader")
        assert (nbgrader is None) == (cell["metadata"] == {})
        assert (nbgrader is None) == bool(re.search("badge|-[0-9a-f]{8}$", cell["id"]))


def test_the_last_cell_knows_every_exercise_and_what_was_given(tiny):
    tiny.change("ps1.md", "```{code-cell}\n---\nexercise: ps1_area", "### How large\n\n+++\n\n"
                "```{code-cell}\n---\nexercise: ps1_area")  # fmt: skip
    last = source()["cells"][-1]
    assert last["id"] == "hand-in" and last["metadata"]["nbgrader"]["locked"]
    assert last["metadata"]["cellView"] == "form"
    call = ast.parse(last["source"]).body[-1].value
    assert ast.literal_eval(call.args[0]) == "ps1"
    asked = ast.literal_eval(call.args[1])
    assert asked == [
        ("ps1_area", "code", "How large", 0),
        ("ps1_why", "words", "Words", fingerprint("*Your answer (at most 50 words):*")),
        ("ps1_explore", "task", "Words", fingerprint(HAND_IN_TEXT)),
    ]


@pytest.mark.parametrize("name", ["ps1", "ps2"])
def test_an_untouched_release_lacks_every_exercise_and_its_runs(tiny, name):
    built = tiny.build(name)
    release = loads(built.release)
    call = ast.parse(release["cells"][-1]["source"]).body[-1].value
    asked = ast.literal_eval(call.args[1])
    said = unfinished(release, asked)
    titles = [title for _, _, title, _ in asked]
    assert [line.split(": ")[0] for line in said[:-1]] == titles
    assert "not run" in said[-1]
    # Of the solved one, only the words are left to write.
    said = unfinished(built.solved, asked)[:-1]
    assert len(said) == sum(kind != "code" for _, kind, _, _ in asked)


def test_colab_is_asked_for_a_gpu_and_nbgrader_leaves_it_so(tiny):
    for made in (source(), loads(tiny.build("ps1").release)):
        assert made["metadata"]["accelerator"] == "GPU"
        assert made["metadata"]["colab"] == {"gpuType": "T4", "provenance": []}


def test_text_round_trips_and_does_not_depend_on_the_order_of_keys(tiny):
    made = source()
    turned = {key: made[key] for key in reversed(made)}
    assert dumps(made) == dumps(turned)
    assert loads(dumps(made))["cells"] == made["cells"]


def test_slugs_and_headings():
    assert slug("2. Größe, & Form! " + "x" * 60) == "groe-form-" + "x" * 30
    assert slug("β") == "section"
    assert slug("10. Tuning") == slug("9. Tuning") == slug("3.1 Tuning") == slug("Tuning")
    text = "# One\n\n```python\n# no heading\n```\n\n## Two ##\n\n   text\n#hash"
    assert headings(text) == ["One", "Two"]
