"""Runs cells as Jupyter does, and gives their outputs as notebooks hold them.

An `IPython` shell with nobody behind it: what a cell shows is put in a list. Magics, `display`,
pictures, widgets' text, tracebacks and `await` work as they do in a kernel.
"""

import builtins
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import StdinNotImplementedError
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

Output = dict[str, Any]

MAX_STREAM = 2**20
"""Characters that a cell's stdout or stderr may hold; the rest is counted and dropped."""


class Outputs:
    """The outputs of the cell that is running, in their order."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.list: list[Output] = []
        self._sizes = {"stdout": 0, "stderr": 0}
        self._clear_later = False

    def add(self, output: Output) -> None:
        if self._clear_later:
            self.list.clear()
            self._clear_later = False
        self.list.append(output)

    def clear(self, wait: bool = False) -> None:
        self._clear_later = wait
        if not wait:
            self.list.clear()

    def write(self, name: str, text: str) -> None:
        room = MAX_STREAM - self._sizes[name]
        self._sizes[name] += len(text)
        if room <= 0:
            return
        text = text if len(text) <= room else text[:room] + "\n[more was written than is kept]\n"
        last = self.list[-1] if self.list and not self._clear_later else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["parts"].append(text)
        else:
            self.add({"output_type": "stream", "name": name, "parts": [text]})

    def taken(self) -> list[Output]:
        """What there is, as a notebook holds it."""
        for output in self.list:
            if "parts" in output:
                output["text"] = "".join(output.pop("parts"))
        return self.list

    def update(self, display_id: str, data: dict, metadata: dict) -> None:
        for output in self.list:
            if output.get("transient", {}).get("display_id") == display_id:
                output.update(data=data, metadata=metadata)


class _Stream(io.TextIOBase):
    encoding = "utf-8"

    def __init__(self, outputs: Outputs, name: str) -> None:
        self._outputs, self._name = outputs, name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._outputs.write(self._name, text)
        return len(text)

    def fileno(self) -> int:
        return {"stdout": 1, "stderr": 2}[self._name]


class _Publisher(DisplayPublisher):
    outputs: Outputs

    def publish(self, data, metadata=None, *, transient=None, update=False, **kwargs) -> None:
        transient = transient or {}
        if update:
            self.outputs.update(transient.get("display_id", ""), data, metadata or {})
            return
        output = {"output_type": "display_data", "data": data, "metadata": metadata or {}}
        self.outputs.add(output | ({"transient": transient} if transient else {}))

    def clear_output(self, wait: bool = False) -> None:
        self.outputs.clear(wait)


class _Hook(DisplayHook):
    outputs: Outputs

    def start_displayhook(self) -> None:
        self._output = {"output_type": "execute_result", "data": {}, "metadata": {}}

    def write_output_prompt(self) -> None:
        self._output["execution_count"] = self.prompt_count

    def write_format_data(self, format_dict, md_dict=None) -> None:
        self._output.update(data=format_dict, metadata=md_dict or {})

    def finish_displayhook(self) -> None:
        if self._output["data"]:
            self.outputs.add(self._output)


class Shell(InteractiveShell):
    """The shell that a student's cells run in. There is one a process."""

    displayhook_class = _Hook
    display_pub_class = _Publisher

    def __init__(self, **kwargs: Any) -> None:
        self.outputs = Outputs()
        super().__init__(**kwargs)
        self.displayhook.outputs = self.display_pub.outputs = self.outputs

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

    def enable_gui(self, gui=None) -> None:
        """There is none."""

    def _showtraceback(self, etype, evalue, stb) -> None:
        self.outputs.add(
            {
                "output_type": "error",
                "ename": str(etype.__name__),
                "evalue": _text(evalue),
                "traceback": [str(line) for line in stb],
            }
        )

    def ask_exit(self) -> None:
        """`exit()` ends nothing here: the cells after it are run."""


def make_shell() -> Shell:
    """The shell of this process, with nothing of a user's: no start-up files, no history."""
    config = Config()
    config.HistoryManager.enabled = False  # it would start a thread
    config.InteractiveShell.colors = "NoColor"
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    return Shell.instance(config=config)


def run_cell(shell: Shell, source: str) -> list[Output]:
    """Run a cell and return its outputs. An exception is one of them."""
    shell.outputs.start()
    with _streams(shell.outputs):
        result = shell.run_cell(source, store_history=True)
        error = result.error_before_exec or result.error_in_exec
        if error is not None and not any(
            output["output_type"] == "error" for output in shell.outputs.list
        ):
            shell._showtraceback(type(error), error, [f"{type(error).__name__}: {_text(error)}"])
    return [
        {key: value for key, value in output.items() if key != "transient"}
        for output in shell.outputs.taken()
    ]


@contextmanager
def _streams(outputs: Outputs) -> Iterator[None]:
    kept = sys.stdout, sys.stderr, builtins.input
    sys.stdout, sys.stderr = _Stream(outputs, "stdout"), _Stream(outputs, "stderr")
    builtins.input = _no_input
    try:
        yield
    finally:
        sys.stdout, sys.stderr, builtins.input = kept


def _no_input(prompt: object = "") -> str:
    raise StdinNotImplementedError(
        "raw_input was called, but this frontend does not support input requests."
    )


def _text(error: object) -> str:
    try:
        return str(error)
    except Exception:  # an exception of the student's may not know what it says
        return ""
