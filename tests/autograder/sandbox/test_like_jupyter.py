"""The sandbox shows of a cell what Jupyter shows: the same cells run here and in a real kernel.

The kernel is run by nbgrader's own `Execute`, in whose place the sandbox stands.
"""

import re
import time
from collections.abc import Iterator
from itertools import groupby

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.preprocessors import Execute
from nbgrader.utils import determine_grade

from autograder.execution import clean_outputs
from autograder.sandbox.outside import Session, WarmParent, problem
from autograder.sandbox.remote import RemoteStudent
from autograder.sandbox.shell import MAX_DISPLAYS, MAX_SHOWN, MAX_STREAM

pytestmark = pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")

# Run in this order, all in one kernel and all in one session.
CELLS = {
    "nothing yet": "_, __, ___",
    "expression": "1 + 1",
    "semicolon": "3;",
    "none": "None",
    "assignment": "x = 5",
    "last of two": "1\n2",
    "print, then a value": "print('a'); 4",
    "two streams and a value": (
        "import sys\nprint('out'); print('err', file=sys.stderr); print('out 2'); 5"
    ),
    "streams in turn": "for i in range(3): print(i, end='', file=sys.stderr); print(i)",
    "streams around displays": (
        "print(1); display(2); print(3, file=sys.stderr); display(4); print(5)"
    ),
    "empty print": "print(end='')",
    "flush and writelines": "print(1, flush=True); sys.stdout.writelines(['a', 'b'])",
    "not a string": "sys.stdout.write(b'bytes')",
    "about the streams": (
        "sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.name, sys.stdout.closed"
    ),
    "no buffer": "sys.stdout.buffer",
    "no stdin": "sys.stdin.read()",
    "unicode": "print('üñí 漢字 🎉'); '🎉'",
    "control characters": r"print('\a\b\x1b[31mred\x1b[0m\r\n\tx')",
    "warning": "import warnings\nwarnings.warn('careful')",
    "the same warning once more": "\nwarnings.warn('careful')",
    "deprecation": "warnings.warn('old', DeprecationWarning)",
    "division by zero": "1/0",
    "value before an error": "display(1)\nprint(2)\n1/0",
    "assertion": "assert 1 == 2, 'one is not two'",
    "assertion without words": "assert not True",
    "error in a function": (
        "def g():\n    raise ValueError('inner\\nlines')\n"
        "try:\n    g()\nexcept ValueError as error:\n    raise RuntimeError('outer') from error"
    ),
    "error group": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "base exception": "raise BaseException('base')",
    "generator exit": "raise GeneratorExit",
    "stop iteration": "raise StopIteration('x')",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "system exit": "raise SystemExit",
    "system exit 3": "raise SystemExit(3)",
    "syntax error": "def f(:\n    pass",
    "indentation": "  x = 1\n y = 2",
    "unclosed": "print('never'",
    "unknown name": "nosuch",
    "an error's own display": (
        "class Odd(Exception):\n    def _render_traceback_(self): return ['one line']\nraise Odd"
    ),
    "no such magic": "%nosuch",
    "plain tracebacks": "%xmode Plain\n1/0",
    "usual tracebacks": "%xmode Context",
    "input": "input('name? ')",
    "getpass": "import getpass\ngetpass.getpass()",
    "breakpoint": "def stop():\n    breakpoint()\n    return 1\nstop()",
    "rich displays": (
        "from IPython.display import *\ndisplay(HTML('<b>x</b>'), Markdown('**y**'), Latex('$z$'))"
    ),
    "image": "display(Image(data=b'\\x89PNG\\r\\n\\x1a\\n', format='png'))",
    "svg and javascript": "display(SVG('<svg/>')); display(Javascript('1'))",
    "html magic": "%%html\n<b>x</b>",
    "latex magic": "%%latex\n$x$",
    "metadata": "display(1, 2, metadata={'a': [1, 'b']})",
    "raw": "display({'text/plain': 'as it is', 'image/png': 'abcd'}, raw=True)",
    "not to be published": "get_ipython().display_pub.publish('x')",
    "named display": (
        "h = display('one', display_id='me'); display('two')\n"
        "update_display('three', display_id='me'); display('four', display_id='me')"
    ),
    "handle": "h = display(1, display_id=True); h.update(2); h.display(3); print(4)",
    "unknown handle": "update_display('x', display_id='nobody')",
    "cleared": "print('gone'); display(1); clear_output(); print('kept')",
    "cleared later": "print('gone'); clear_output(wait=True); print('kept')",
    "never cleared": "print('kept'); clear_output(wait=True)",
    "cleared by an error": "print('gone'); clear_output(wait=True); 1/0",
    "progress by clearing": "for i in range(3): clear_output(wait=True); print(i); display(i)",
    "no html": (
        "class R:\n    def _repr_html_(self): raise ValueError('no html')\n"
        "    def __repr__(self): return 'R!'\nR()"
    ),
    "no repr": "class R:\n    def __repr__(self): raise ValueError('no repr')\nR()",
    "printing repr": (
        "class R:\n    def __repr__(self):\n        print('asked')\n        return 'R!'\nR()"
    ),
    "html": "class R:\n    def _repr_html_(self): return '<b>R</b>'\nR()",
    "own display": "class R:\n    def _ipython_display_(self): print('shown')\nR()",
    "figure": (
        "import matplotlib.pyplot as plt\n"
        "plt.plot([1, 2]); plt.title('two'); plt.gcf().set_size_inches(3, 2)"
    ),
    "figures": (
        "plt.figure(figsize=(3, 2)); plt.plot([1, 2]); plt.show(); print('between')\n"
        "plt.figure(figsize=(2, 2)); plt.scatter([1, 2], [2, 1]); plt.figure(figsize=(2, 1));"
    ),
    "figures are closed": "plt.get_fignums()",
    "a figure as value": "figure, axes = plt.subplots(figsize=(2, 1))\nfigure",
    "a closed figure": "plt.subplots(figsize=(2, 1)); plt.close()",
    "inline": "%matplotlib inline",
    "figure before an error": "plt.figure(figsize=(2, 1)); plt.plot([1, 2]); 1/0",
    "imshow": (
        "import numpy as np\n"
        "plt.figure(figsize=(2, 2)); plt.imshow(np.eye(3)); plt.axis('off'); plt.show()"
    ),
    "picture": "import PIL.Image\nPIL.Image.new('L', (4, 4))",
    "shell": "!echo hi",
    "shell with errors": "!echo hi; echo ho >&2; exit 3",
    "exit code": "_exit_code",
    "shell into a name": "found = !echo hi; echo ho\nfound",
    "shell twice": "!!echo two",
    "shell with a name": "!echo {x} $x",
    # A kernel reads what goes past Python in a thread, and on a busy machine not at once.
    "subprocess": (
        "import subprocess, time\ndone = subprocess.run(['echo', 'hi']); time.sleep(1)\ndone"
    ),
    "subprocess captured": "subprocess.run('echo hi', shell=True, capture_output=True, text=True)",
    "os.system": "import os\nos.system('echo out');",
    "descriptors": "os.write(1, b'one'); os.write(2, b'two'); time.sleep(1)",
    "the original stream": "sys.__stdout__.write('raw'); sys.__stdout__.flush()",
    "bash": "%%bash\necho from bash; echo err >&2",
    "bash that fails": "%%bash\nexit 3",
    "time": "%time sum(range(10))",
    "cell time": "%%time\nprint('x')\n7",
    "time of an error": "%time 1/0",
    "timeit": "%timeit -n1 -r1 pass",
    "capture": "%%capture captured\nprint('x'); display(3); 8",
    "captured": "captured.stdout, len(captured.outputs)",
    "set a variable": "%env ABC=1",
    "get a variable": "%env ABC",
    "names": "%reset -f\na, b = 1, 'two'",
    "who": "%who",
    "whos": "%whos",
    "after a reset": "import sys, os, io, asyncio, logging, threading\na",
    "the last results": "_, __",
    "in and out": "In[1], In[2], Out[2] if 2 in Out else None, len(In)",
    "history": "%history -n 1-3",
    "precision": "%precision 2\n3.14159",
    "usual precision": "%precision",
    "autoreload": "%load_ext autoreload\n%autoreload 2",
    "working directory": "%cd /usr\n!pwd",
    "back": "%cd -q -\n'/usr' in os.getcwd()",
    "write a file": "%%writefile script.py\nprint('I run'); y = 3",
    "run a file": "%run script.py\ny",
    "run no file": "%run nosuch.py",
    "see a file": "%cat script.py",
    "list": "%ls *.py",
    "a module": "import script",
    "help": "len?",
    "source": "script??",
    "help in python": "help(id)",
    "await": "await asyncio.sleep(0.01, 'slept')",
    "error while awaiting": (
        "async def fail():\n    print('before')\n    raise ValueError('late')\nawait fail()"
    ),
    "figure while awaiting": (
        "import matplotlib.pyplot as plt\n"
        "await asyncio.sleep(0); plt.figure(figsize=(2, 1)); plt.plot([1, 2]);"
    ),
    "a loop is running": "asyncio.get_running_loop().is_running()",
    "task": "task = asyncio.create_task(asyncio.sleep(0, 'done'))",
    "task awaited": "await task",
    "thread": (
        "t = threading.Thread(target=print, args=('in a thread',)); t.start(); t.join(); print(1)"
    ),
    "process": (
        "import multiprocessing\n"
        "p = multiprocessing.get_context('fork').Process(target=print, args=('forked',))\n"
        "p.start(); p.join(); p.exitcode"
    ),
    "logging": "logging.warning('watch out')",
    "logging once more": "logging.getLogger('x').warning('again'); logging.info('no')",
    "tqdm": "import tqdm\nfor i in tqdm.tqdm(range(3)): pass",
    "tqdm in a notebook": "import tqdm.auto\nfor i in tqdm.auto.tqdm(range(3), desc='x'): pass",
    "widget": "import ipywidgets\nipywidgets.IntSlider(3)",
    "rich": "import rich\nrich.print('[b]bold[/b]')",
    "numpy": "import numpy as np\nnp.arange(6.).reshape(2, 3)",
    "torch": "import torch\ntorch.arange(6.).reshape(2, 3)",
    "layers": "torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())",
    "class in main": "import pickle\nclass P: pass\npickle.dumps(P())",
    "long value": "[list(range(40))] * 3",
    "set and dict": "{'b': 1, 'a': {2, 1}}",
    "function": "def f(): yield 1\nf",
    "a notebook's names": "__name__, '__file__' in globals(), type(get_ipython()).__name__",
    "every value": "get_ipython().ast_node_interactivity = 'all'",
    "two values": "1\n2",
    "a stream of its own": "kept = sys.stdout\nsys.stdout = io.StringIO()",
    "to nowhere": "print('nowhere')",
}


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmParent]:
    with WarmParent() as warm:
        yield warm


@pytest.fixture(scope="module")
def here(warm: WarmParent) -> dict[str, list]:
    with warm.session() as session:
        return {name: session.run_cell(source)[0] for name, source in CELLS.items()}


@pytest.fixture(scope="module")
def in_kernel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    folder = tmp_path_factory.mktemp("kernel")
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS.values()])
    with pytest.MonkeyPatch.context() as patch:
        # Where it is set, a kernel leaves the descriptors alone.
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)
        for name in ("COLUMNS", "LINES"):  # of the terminal this is run in: tqdm fills it
            patch.delenv(name, raising=False)
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.chdir(folder)
        Execute(timeout=60).preprocess(notebook, {"metadata": {"path": str(folder)}})
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_shows_what_it_shows_in_a_kernel(
    name: str, here: dict[str, list], in_kernel: dict[str, list]
):
    assert comparable(here[name]) == comparable(in_kernel[name])


@pytest.mark.parametrize("name", CELLS)
def test_nbgrader_scores_it_alike(name: str, here: dict[str, list], in_kernel: dict[str, list]):
    assert score(clean_outputs(here[name])) == score(in_kernel[name])


# What is not as in a kernel, and why.


def text_of(outputs: list, name: str = "stdout") -> str:
    return "".join(output.get("text", "") for output in outputs if output.get("name") == name)


def names_of(outputs: list) -> list[str]:
    return [output["ename"] for output in outputs if output["output_type"] == "error"]


@pytest.fixture(scope="module")
def run(other_session: Session):
    """Runs a cell and gives its outputs."""
    return lambda source, **given: other_session.run_cell(source, **given)[0]


@pytest.fixture(scope="module")
def other_session(warm: WarmParent) -> Session:
    with warm.session() as session:
        yield session


@pytest.mark.parametrize(
    "source",
    [
        f"print('x' * {3 * MAX_STREAM})",
        f"import os\nfor i in range(30): os.write(1, b'x' * {MAX_STREAM // 10}); None",
        f"import os\nos.write(1, 'ü'.encode() * {3 * MAX_STREAM}); None",
        f"!yes | head -c {3 * MAX_STREAM}",
        f"for i in range({MAX_STREAM // 6}): print(i)",
    ],
)
def test_a_stream_is_cut_for_it_may_be_endless(run, source: str):
    (output,) = run(source)
    assert MAX_STREAM < len(output["text"]) < MAX_STREAM + 100
    assert output["text"].endswith("\n[more was written than is kept]\n")
    assert text_of(run("print('short')")) == "short\n"


def test_an_error_is_kept_however_much_came_before(run):
    # Without it, a cell of tests that failed would count as one that did not.
    flood = f"for i in range({MAX_DISPLAYS + 99}): display(i)\nassert False, 'wrong'"
    outputs = run(flood)
    assert len(outputs) <= MAX_DISPLAYS + 2
    assert names_of(outputs) == ["AssertionError"]
    assert text_of(outputs) == "[more was shown than is kept]\n"


def test_pictures_beyond_measure_are_left_out(run):
    outputs = run(
        "from IPython.display import *\n"
        f"for i in range(8): display({{'image/png': 'A' * {MAX_SHOWN // 4}}}, raw=True)\n1/0"
    )
    assert 1 <= [output["output_type"] for output in outputs].count("display_data") <= 4
    assert names_of(outputs) == ["ZeroDivisionError"]


def test_what_was_cleared_or_changed_takes_no_room(run):
    # Such as a curve that is drawn anew after each epoch.
    size = MAX_SHOWN // 3
    (picture,) = run(
        "from IPython.display import *\n"
        f"for i in range(9): clear_output(wait=True); display('x' * {size} + str(i))"
    )
    assert picture["data"]["text/plain"].endswith("8'")
    (picture,) = run(
        "handle = display(0, display_id=True)\n"
        f"for i in range(9): handle.update('x' * {size} + str(i))"
    )
    assert picture["data"]["text/plain"].endswith("8'")
    (stream,) = run(
        f"for i in range(9): clear_output(wait=True); print('x' * {MAX_STREAM // 3}, i)"
    )
    assert stream["text"].endswith("x 8\n")


def test_long_words_of_an_error_are_cut(run):
    (output,) = run(f"assert False, 'wrong' * {MAX_SHOWN // 5}")
    assert output["ename"] == "AssertionError"
    assert output["evalue"].startswith("wrongwrong")
    assert len(str(output)) < 2000
    run("1/0")
    outputs = run(f"for i in range({MAX_DISPLAYS + 9}): get_ipython().showtraceback()")
    assert len(outputs) == MAX_DISPLAYS + 1


@pytest.mark.parametrize(
    "value", [r"'\ud800'", "10**6000", "float('nan')", "'[' * 2_000_000", "b'bytes'", "{1: {2}}"]
)
def test_odd_data_end_nothing(run, value: str):
    # They cannot be written as JSON, or could not be read again.
    run(f"odd = {value}\nnest = odd\nfor i in range(40): nest = [nest]")
    run("print(odd)")
    run("odd")
    run(
        "class Odd:\n    def _repr_mimebundle_(self, **given):\n"
        "        return {'text/plain': odd, 'image/png': nest}, {'a': nest, 'b': odd}\nOdd()"
    )
    run("display({'text/plain': 'x', 'application/json': nest}, raw=True, metadata={'x': nest})")
    run("raise ValueError(odd)")
    assert run("6 * 7")[0]["data"] == {"text/plain": "42"}


def test_only_text_and_pictures_are_kept(run):
    # The rest is for programs in a browser, and nobody's browser runs what a student wrote.
    (output,) = run("from IPython.display import *\nJSON({'a': 1})")
    assert output["data"] == {"text/plain": "<IPython.core.display.JSON object>"}
    assert text_of(run("%autosave 60")) == "Autosaving every 60 seconds\n"


@pytest.mark.parametrize("source", ["exit()", "quit()", "exit", "get_ipython().ask_exit()"])
def test_exit_ends_nothing(run, source: str):
    # A kernel is gone, and the cells after it are not run.
    assert run(source) == []
    assert text_of(run("print('still here')")) == "still here\n"


def test_a_cell_that_is_done_is_not_changed_any_more(run):
    # A frontend would. What a cell showed has been handed over when the next one begins.
    run("handle = display(1, display_id='of another cell')")
    assert run("handle.update(2); print('fine')")[0]["text"] == "fine\n"


def test_what_comes_while_no_cell_runs_is_shown_nowhere(run):
    # A frontend would put it below the last cell; nbclient drops it too.
    run("import subprocess\nlate = subprocess.Popen('sleep 0.1; echo late', shell=True)")
    time.sleep(0.4)
    assert text_of(run("late.wait(); print('next')")) == "next\n"


def test_what_a_function_shows_while_it_is_judged_is_shown_nowhere(other_session: Session, run):
    run("import os\ndef noisy():\n    print(1); display(2); os.write(1, b'3'); return 4")
    assert RemoteStudent(other_session).call("noisy") == 4
    assert text_of(run("print('next')")) == "next\n"


def test_an_error_in_a_thread_is_printed(run):
    # Where exactly it came from differs: some kernels start threads in a way of their own.
    failing = "threading.Thread(target=lambda: 1/0, name='T')"
    (output,) = run(f"import threading; t = {failing}; t.start(); t.join(); None")
    assert output["name"] == "stderr"
    assert output["text"].startswith("Exception in thread T:\n")
    assert output["text"].endswith("ZeroDivisionError: division by zero\n")


def test_what_is_written_to_a_descriptor_in_parts_is_one_text(run):
    # A kernel decodes each part by itself, and shows it when it gets round to it.
    (output,) = run(r"import os; os.write(1, b'\xc3'); os.write(1, b'\xbc\n'); None")
    assert output["text"] == "ü\n"
    assert [
        output["text"]
        for output in run(
            "print('1'); os.system('echo 2'); print('3'); display(); os.system('echo 4');"
        )
    ] == ["1\n2\n3\n4\n"]


@pytest.mark.parametrize("source", ["os.close(1)", "os.ftruncate(1, 0)", "os.dup2(0, 1)"])
def test_a_broken_descriptor_breaks_no_cell(warm: WarmParent, source: str):
    with warm.session() as session:
        session.run_cell(f"import os\nos.write(1, b'x'); {source}; print('shown')")
        assert text_of(session.run_cell("print('next')")[0]) == "next\n"


def test_a_broken_shell_says_so(warm: WarmParent):
    # A kernel would be dead. A cell of tests that shows nothing has passed them.
    with warm.session() as session:
        session.run_cell("import os\nos.closerange(4, 100)")
        assert names_of(session.run_cell("assert 1 == 2")[0])
        session.run_cell("get_ipython().run_cell = None")
        assert names_of(session.run_cell("assert 1 == 2")[0])


def test_an_output_widget_shows_what_it_holds_in_the_cell(run):
    # A frontend keeps it in the widget's state, which nobody can see without JavaScript.
    run("import ipywidgets as widgets\nfrom IPython.display import clear_output")
    outputs = run("print('before'); widgets.interact(lambda x: print('x is', x), x=3);")
    assert text_of(outputs) == "before\nx is 3\n"
    outputs = run(
        "print('before'); box = widgets.Output()\n"
        "with box: print('gone')\n"
        "box.clear_output(wait=True)\n"
        "with box: print('kept')\n"
        "print('after')"
    )
    assert text_of(outputs) == "before\nkept\nafter\n"
    assert text_of(run("print('all'); clear_output(); print('new')")) == "new\n"


def test_an_error_that_is_caught_by_a_hook_is_shown(run):
    run("get_ipython().set_custom_exc((Exception,), lambda *given: None)")
    assert names_of(run("assert 1 == 2")) == ["AssertionError"]
    assert names_of(run("assert 1 == 2", graded=True)) == ["AssertionError"]


@pytest.mark.parametrize(
    "trick",
    [
        "import sys, io; sys.stdout = sys.stderr = io.StringIO()",
        "get_ipython().ast_transformers.append(Deaf())",
        "get_ipython().input_transformers_post.append(lambda lines: ['pass'])",
        "get_ipython().input_transformers_cleanup.append(lambda lines: ['pass'])",
        "get_ipython().events.register('post_run_cell', lambda *given: clear_output())",
        "get_ipython().set_custom_exc((Exception,), lambda *given: None)",
    ],
)
def test_a_cell_of_tests_finds_the_shell_as_it_was(warm: WarmParent, trick: str):
    with warm.session() as session:
        session.run_cell(
            "import ast\nfrom IPython.display import clear_output\n"
            "class Deaf(ast.NodeTransformer):\n"
            "    def visit_Assert(self, node): return ast.Pass()\n"
            "    def visit_Expr(self, node): return ast.Pass()"
        )
        session.run_cell(trick)
        outputs, _ = session.run_cell("print('asked')\nassert 1 == 2, 'no'", graded=True)
    assert text_of(outputs) == "asked\n"
    assert names_of(outputs) == ["AssertionError"]


def score(outputs: list) -> float:
    cell = new_code_cell(outputs=outputs)
    flags = {"grade": True, "solution": False, "grade_id": "g", "points": 100}
    cell.metadata.nbgrader = NotebookNode(flags)
    return determine_grade(cell)[0]


def comparable(outputs: list) -> list:
    """Outputs, without what differs from one run to the next of the same kernel."""
    # Where a display fails, nbgrader adds an error "NoneType: None" of its own.
    outputs = [output for output in outputs if output.get("ename") != "NoneType"]
    return [
        part
        for streams, run in groupby(outputs, lambda output: output["output_type"] == "stream")
        for part in (_streams(run) if streams else map(_display, run))
    ]


def _streams(run) -> list[tuple[str, str]]:
    """A kernel sends each stream by itself, when 0.2 s have passed or something is displayed."""
    texts: dict[str, str] = {}
    for output in run:
        texts[output["name"]] = texts.get(output["name"], "") + output["text"]
    return [(name, _same(texts[name])) for name in sorted(texts)]


def _display(output) -> dict:
    found = dict(output)
    if found["output_type"] == "error":
        # The frames differ where they are the kernel's own. Where IPython shows an error as a
        # warning only, nbgrader adds one without a traceback, and the sandbox one with its name.
        last = _same(found["traceback"][-1])
        unshown = "showtraceback was disabled" in last
        found["traceback"] = f"{found['ename']}: {found['evalue']}" if unshown else last
        return found | {"evalue": _same(found["evalue"])}
    # What is no text is for widgets and other programs in a browser, and is left out.
    texts = {kind: data for kind, data in found["data"].items() if isinstance(data, str)}
    return found | {"data": {kind: _same(text) for kind, text in texts.items()}}


_DIFFERENT = (
    (r"\x1b\[[0-9;]*m", ""),
    (r"0x[0-9a-f]{6,}", "0x"),
    (r"<ipython-input-\d+-[0-9a-f]+>|(/tmp/ipykernel_\d+/)?\d{3,}\.py", "<cell>"),
    (r"\b[\d.]+(e[+-]\d+)? ?(ns|[uµμ]s|ms|s|it/s)\b", "<time>"),
    (r"OutStream|_Stream", "<stream>"),
    (r"(?m)^.*/(inside|.venv|site-packages)/.*$", "<a library's line>"),
)


def _same(text: str) -> str:
    for pattern, word in _DIFFERENT:
        text = re.sub(pattern, word, text)
    return text
