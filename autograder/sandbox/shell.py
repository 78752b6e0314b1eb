"""Runs cells as Jupyter does, and gives their outputs as notebooks hold them.

An `IPython` shell with nobody behind it: what a cell shows is put in a list. Magics, `display`,
pictures, widgets' text, tracebacks and `await` work as they do in a kernel.
"""

import asyncio
import base64
import builtins
import codecs
import getpass
import importlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import ModuleType
from typing import Any, NoReturn

from IPython.core import page
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import StdinNotImplementedError
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from traitlets.config import Config

Output = dict[str, Any]

MAX_STREAM = 2**20
"""Characters that a cell's stdout or stderr may hold; the rest is counted and dropped."""

MAX_SHOWN = 10 * 2**20
"""Bytes of all else that a cell shows, as JSON, pictures included."""

MAX_DISPLAYS = 400

_CUT = "\n[more was written than is kept]\n"
_LEFT_OUT = "[more was shown than is kept]\n"


class Outputs:
    """The outputs of the cell that is running, in their order."""

    def __init__(self) -> None:
        self.before_each: Callable[[], None] = lambda: None
        self.widgets: list[Any] = []
        self.start()

    def start(self) -> None:
        self.list: list[Output] = []
        self._to_clear: list[Any] = []
        self._streamed = {"stdout": 0, "stderr": 0}
        self._left_out = False

    def add(self, output: Output) -> None:
        """Put an output behind the others.

        There is room for an error however much there is already: without it, a cell of tests that
        failed would pass for one that did not.
        """
        self.before_each()
        self._clear()
        if not self._has_room(output):
            if output["output_type"] != "error" or self.has_error():
                self._leave_out()
                return
            output |= {"evalue": output["evalue"][:300], "traceback": []}
        if output.get("display_id"):
            self.update(output["display_id"], output["data"], output["metadata"])
        self._append(output)

    def update(self, display_id: str, data: Output, metadata: Output) -> None:
        """Change what was displayed under a name."""
        for output in self.list:
            if display_id and output.get("display_id") == display_id:
                changed = {"data": data, "metadata": metadata}
                if self._has_room(changed):
                    output.update(changed, size=_size(changed))

    def clear(self, wait: bool = False) -> None:
        """Drop what there is: now, or as soon as something else comes.

        Within an Output widget it is what the widget shows, no more.
        """
        self.before_each()
        self._to_clear = [self._widget()]
        if not wait:
            self._clear()

    def write(self, name: str, text: str) -> None:
        """Add to a stream. As in a kernel, each is one text from one display to the next."""
        if not text:
            return
        self._clear()
        room = MAX_STREAM - self._streamed[name]
        self._streamed[name] += len(text)
        if room <= 0:
            return
        text = text if len(text) <= room else text[:room] + _CUT
        for output in reversed(self.list[-2:]):
            if "parts" not in output or output["within"] is not self._widget():
                break
            if output["name"] == name:
                output["parts"].append(text)
                return
        self._append({"output_type": "stream", "name": name, "parts": [text]})

    def has_error(self) -> bool:
        return any(output["output_type"] == "error" for output in self.list)

    def taken(self) -> list[Output]:
        """What there is, as a notebook holds it."""
        self.before_each()
        found, self.list = self.list, []
        ours = ("parts", "within", "display_id", "size")
        return [
            {key: value for key, value in output.items() if key not in ours}
            | ({"text": "".join(output["parts"])} if "parts" in output else {})
            for output in found
        ]

    def _append(self, output: Output) -> None:
        self.list.append(output | {"within": self._widget(), "size": _size(output)})

    def _has_room(self, output: Output) -> bool:
        used = sum(shown["size"] for shown in self.list)
        return len(self.list) < MAX_DISPLAYS and used + _size(output) <= MAX_SHOWN

    def _leave_out(self) -> None:
        if not self._left_out:
            self._left_out = True
            self.write("stdout", _LEFT_OUT)

    def _clear(self) -> None:
        if not self._to_clear:
            return
        (widget,) = self._to_clear
        self._to_clear = []
        self.list = [output for output in self.list if widget and output["within"] is not widget]
        self._left_out = False
        for name in self._streamed:
            texts = (out["parts"] for out in self.list if out.get("name") == name)
            self._streamed[name] = sum(len(part) for parts in texts for part in parts)

    def _widget(self) -> Any:
        return self.widgets[-1] if self.widgets else None


def _size(output: Output) -> int:
    """Of what an output shows; a stream has a limit of its own."""
    shown = ("data", "metadata", "evalue", "traceback")
    return len(json.dumps([output[key] for key in shown if key in output]))


class _Stream(io.TextIOBase):
    encoding = "UTF-8"

    def __init__(self, outputs: Outputs, name: str) -> None:
        self._outputs, self.name = outputs, name
        self._process = os.getpid()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        if os.getpid() != self._process:  # of `multiprocessing`: its memory is a copy
            os.write(self.fileno(), text.encode(errors="replace"))
            return len(text)
        self._outputs.before_each()
        self._outputs.write(self.name, text)
        return len(text)

    def fileno(self) -> int:
        return {"stdout": 1, "stderr": 2}[self.name]


class _Descriptor:
    """What is written to a descriptor and not to Python's stream: by a subprocess, or in C++.

    It goes to a file in memory that has no name. A pipe would need a thread that reads it, and
    what came late would be shown by the next cell.
    """

    def __init__(self, number: int) -> None:
        self._file = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_APPEND, 0o600)
        os.dup2(self._file, number)
        self.start()

    def start(self) -> None:
        """Forget what has come, such as what was written while no cell was running."""
        self._read = 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with suppress(OSError):  # the notebook may have closed it
            os.ftruncate(self._file, 0)

    def taken(self) -> str:
        """What has come since the last time. Asked before each print, so it must be quick."""
        try:
            size = os.lseek(self._file, 0, os.SEEK_END)
            if size == self._read:
                return ""
            start = self._read if self._read < size else 0
            self._read = size
            return self._decode(os.pread(self._file, min(size - start, 4 * MAX_STREAM), start))
        except OSError:
            return ""


class _Publisher(DisplayPublisher):
    outputs: Outputs

    def publish(self, data, metadata=None, *, transient=None, update=False, **kwargs) -> None:
        metadata = metadata or {}
        self._validate_data(data, metadata)
        display_id = (transient or {}).get("display_id")
        if update:
            self.outputs.update(display_id, _texts(data), _plain(metadata))
            return
        self.outputs.add(
            {
                "output_type": "display_data",
                "data": _texts(data),
                "metadata": _plain(metadata),
                "display_id": display_id,
            }
        )

    def clear_output(self, wait: bool = False) -> None:
        self.outputs.clear(wait)


class _Hook(DisplayHook):
    outputs: Outputs

    def start_displayhook(self) -> None:
        self._output = {"output_type": "execute_result", "data": {}, "metadata": {}}

    def write_output_prompt(self) -> None:
        self._output["execution_count"] = self.prompt_count

    def write_format_data(self, format_dict, md_dict=None) -> None:
        self._output.update(data=_texts(format_dict), metadata=_plain(md_dict or {}))

    def finish_displayhook(self) -> None:
        if self._output["data"]:
            self.outputs.add(self._output)


@magics_class
class _NotebookMagics(Magics):
    """Of a kernel's own magics the one that stands in notebooks."""

    @line_magic
    def autosave(self, line: str) -> None:
        print(f"Autosaving every {line} seconds" if int(line) else "Autosave disabled")


class Shell(InteractiveShell):
    """The shell that a student's cells run in. There is one a process."""

    displayhook_class = _Hook
    display_pub_class = _Publisher

    def __init__(self, **kwargs: Any) -> None:
        self.outputs = Outputs()
        super().__init__(**kwargs)
        self.displayhook.outputs = self.display_pub.outputs = self.outputs
        self.register_magics(_NotebookMagics)
        self.process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._descriptors: dict[str, _Descriptor] = {}

    def settle(self) -> None:
        """Make this process the shell's own: its streams, its descriptors, its event loop."""
        self.process = os.getpid()
        self._descriptors = {"stdout": _Descriptor(1), "stderr": _Descriptor(2)}
        self.outputs.before_each = self._heed_descriptors
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self.put_streams()

    def put_streams(self) -> None:
        self.streams = _Stream(self.outputs, "stdout"), _Stream(self.outputs, "stderr")
        sys.stdout, sys.stderr = self.streams

    def start_cell(self) -> None:
        if self.process != os.getpid():
            self.settle()
        for descriptor in self._descriptors.values():
            descriptor.start()
        self.outputs.start()

    def run_as_in_kernel(self, source: str) -> ExecutionResult:
        """Run a cell while an event loop is running: it may `await`, and start tasks."""
        if self._loop is None:
            return self.run_cell(source, store_history=True)
        task = self._loop.create_task(self._run(source))
        try:
            return self._loop.run_until_complete(task)
        except KeyboardInterrupt:  # while it awaited something
            task.cancel()
            return self._loop.run_until_complete(task)

    async def _run(self, source: str) -> ExecutionResult:
        if not self.should_run_async(source, transformed_cell=self.transform_cell(source)):
            return self.run_cell(source, store_history=True)
        result = None
        try:
            result = await self.run_cell_async(
                source, store_history=True, transformed_cell=self.transform_cell(source)
            )
        finally:
            self.events.trigger("post_execute")
            self.events.trigger("post_run_cell", result)
        return result

    def _heed_descriptors(self) -> None:
        for name, descriptor in self._descriptors.items():
            if text := descriptor.taken():
                self.outputs.write(name, text)

    def remember_hooks(self) -> None:
        """Take what is installed in this shell now for what belongs there."""
        self._callbacks = {name: list(found) for name, found in self.events.callbacks.items()}

    def reset_hooks(self) -> None:
        """Undo what a notebook did to IPython: what rewrites, watches or catches its cells.

        It makes honest tests robust and is no defence: who shares a process can do more.
        """
        self.ast_transformers.clear()
        self.input_transformers_post.clear()
        self.input_transformer_manager = TransformerManager()
        self.custom_exceptions, self.CustomTB = (), None
        for name, found in self._callbacks.items():
            self.events.callbacks[name][:] = found
        self.put_streams()

    def reset(self, new_session: bool = True, aggressive: bool = False) -> None:
        super().reset(new_session, aggressive)
        if new_session:
            self.user_ns.update(_="", __="", ___="")

    def init_environment(self) -> None:
        """As in a kernel, but for colours: what is kept is read as text."""
        os.environ.update(TERM="xterm-color", PAGER="cat", GIT_PAGER="cat")

    def init_hooks(self) -> None:
        super().init_hooks()
        # Help such as `len?` opens beside the notebook and leaves nothing in it.
        self.set_hook("show_in_pager", page.as_hook(lambda *args, **kwargs: None), 99)

    def enable_gui(self, gui=None) -> None:
        """There is none."""

    def _showtraceback(self, etype, evalue, stb) -> None:
        self.outputs.add(
            {
                "output_type": "error",
                "ename": str(etype.__name__)[:300],
                "evalue": _text(evalue),
                "traceback": [str(line) for line in stb],
            }
        )

    def _tee(self, channel: str) -> AbstractContextManager[None]:
        """IPython's would keep all that is ever printed, in memory, for a history nobody reads."""
        return nullcontext()

    def ask_exit(self) -> None:
        """`exit()` ends nothing here: the cells after it are run."""


# By this name libraries know a notebook, to which they show something else than to a terminal.
Shell.__name__ = "ZMQInteractiveShell"


def make_shell() -> Shell:
    """The shell of this process, with nothing of a user's: no start-up files, no history."""
    config = Config()
    config.HistoryManager.enabled = False  # it would start a thread
    config.InteractiveShell.colors = "NoColor"
    # tqdm's new and old ways to ask whether it is in a notebook.
    sys.modules.setdefault("ipykernel.zmqshell", ModuleType("ipykernel.zmqshell"))
    config.IPKernelApp.parent_appname = ""
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    shell = Shell.instance(config=config)
    with suppress(ImportError):
        _show_figures(shell)
    with suppress(ImportError):
        _heed_widgets(shell.outputs)
    for name in ("tqdm.autonotebook", "tqdm.auto"):
        if name in sys.modules:  # it chose how to show progress before there was a shell
            importlib.reload(sys.modules[name])
    return shell


def run_cell(shell: Shell, source: str) -> list[Output]:
    """Run a cell and return its outputs. An exception is one of them."""
    shell.start_cell()
    outputs = shell.outputs
    with _nobody_there():
        try:
            result = shell.run_as_in_kernel(source)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as failure:  # of the shell itself, which a notebook can break
            error = failure
        if error is not None and not outputs.has_error():
            shell._showtraceback(type(error), error, [f"{type(error).__name__}: {_text(error)}"])
    return outputs.taken()


@contextmanager
def _nobody_there() -> Iterator[None]:
    """Nobody answers questions, and nobody debugs."""
    kept = builtins.input, getpass.getpass, sys.breakpointhook
    builtins.input, getpass.getpass = _refuse("raw_input"), _refuse("getpass")
    sys.breakpointhook = lambda *args, **kwargs: None
    try:
        yield
    finally:
        builtins.input, getpass.getpass, sys.breakpointhook = kept


def _refuse(name: str) -> Callable[..., NoReturn]:
    def ask(prompt: object = "", *args: object, **kwargs: object) -> NoReturn:
        raise StdinNotImplementedError(
            f"{name} was called, but this frontend does not support input requests."
        )

    return ask


def _show_figures(shell: Shell) -> None:
    """Show figures, and close them, when their cell is done.

    The backend does it of itself, if there is a shell when it is imported.
    """
    from IPython.core.pylabtools import activate_matplotlib
    from matplotlib_inline.backend_inline import configure_inline_support

    activate_matplotlib(os.environ["MPLBACKEND"])
    configure_inline_support(shell, os.environ["MPLBACKEND"])


def _heed_widgets(outputs: Outputs) -> None:
    """Know when a cell writes into an Output widget, which clears only what it shows itself."""
    from ipywidgets import Output as Widget

    enter, leave = Widget.__enter__, Widget.__exit__

    def enter_and_tell(self: Widget) -> Any:
        outputs.widgets.append(self)
        return enter(self)

    def leave_and_tell(self: Widget, *error: Any) -> Any:
        try:
            return leave(self, *error)
        finally:
            outputs.widgets.pop()

    Widget.__enter__, Widget.__exit__ = enter_and_tell, leave_and_tell


def _texts(data: dict[str, Any]) -> dict[str, str]:
    """What of a display is text; bytes, such as a picture's, as base64.

    The rest is JSON for programs in a browser, none of which will ever see it.
    """
    found = {}
    for kind, value in data.items():
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        if isinstance(kind, str) and isinstance(value, str):
            found[kind] = value
    return found


def _plain(value: Any, depth: int = 0) -> Any:
    """A display's metadata as JSON holds it, as far as JSON can and anybody looks."""
    match value:
        case None | bool() | float() | str():
            return value
        case int() if abs(value) < 2**63:
            return value
        case dict() if depth < 4:
            return {str(key): _plain(item, depth + 1) for key, item in value.items()}
        case list() | tuple() if depth < 4:
            return [_plain(item, depth + 1) for item in value]
    return ""


def _text(error: object) -> str:
    try:
        return str(error)
    except Exception:  # an exception of the student's may not know what it says
        return ""
