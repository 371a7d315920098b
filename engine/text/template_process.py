"""Chat templates run in a process of their own, with limits of time, memory and output.

A sandbox stops what a template must not touch, not how long it runs or how much it makes, and no
signal ends a single operation such as `10 ** 10 ** 8`. One process serves all templates of its
parent. It reads a line of JSON for each call, answers with one, and ends with its parent.
"""

import json
import math
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from threading import Event, Lock, Thread

import jinja2

from ..protocol.child_process import die_with_parent, lower_limit
from ..protocol.errors import BadInputError
from .template_environment import template_environment

CPU_LIMIT_S = 2
"""A template takes microseconds. The kernel counts whole seconds: up to one more may pass."""

WALL_LIMIT_S = 20.0
MEMORY_LIMIT_BYTES = 512 << 20
OUTPUT_LIMIT_CHARS = 4 << 20
"""A prompt of a million tokens."""

_READ_BYTES = 1 << 16

_WHAT_TEMPLATES_RAISE = (
    jinja2.TemplateError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)


class TemplateLimitError(BadInputError):
    """A chat template that ran too long, or made too much."""


class TemplateSyntaxError(BadInputError):
    """A text that is no Jinja template."""


class TemplateProcess:
    """The process, started when it is first needed and again after it had to be ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._over = Event()
        self._one_at_a_time = Lock()

    def render(
        self, template: str, variables: Sequence[Mapping[str, object]]
    ) -> list[str | BadInputError]:
        """The template's text for each of several sets of variables, or why it refuses them.

        Raises `TemplateSyntaxError` for what is no template, `TemplateLimitError` for one that
        needs more than its limits.
        """
        with self._one_at_a_time:
            answer = self._ask({"template": template, "variables": list(variables)})
        if "syntax" in answer:
            raise TemplateSyntaxError(str(answer["syntax"]))
        if "limit" in answer:
            raise TemplateLimitError(str(answer["limit"]))
        texts = answer.get("texts")
        assert isinstance(texts, list)
        return [text if isinstance(text, str) else BadInputError(text["refused"]) for text in texts]

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        self._over.set()
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()

    def _ask(self, question: Mapping[str, object]) -> dict[str, object]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        answer = bytearray()
        due_s = time.monotonic() + WALL_LIMIT_S
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            while not answer.endswith(b"\n"):
                wait_s = due_s - time.monotonic()
                if wait_s <= 0 or not select.select([process.stdout], [], [], wait_s)[0]:
                    raise _too_long()
                piece = os.read(process.stdout.fileno(), _READ_BYTES)
                if not piece:
                    raise self._ended(process)
                answer += piece
        except BrokenPipeError:
            raise self._ended(process) from None
        except BaseException:
            # What it still writes would be taken for the next answer.
            self.close()
            raise
        values = json.loads(answer)
        assert isinstance(values, dict)
        return values

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._over = Event()
            try:
                self._process = _start(self._over)
            except OSError as error:
                raise BadInputError(f"chat templates cannot be run: {error}") from error
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> TemplateLimitError:
        """Why a process ended within a call."""
        code = process.wait()
        self.close()
        if code == -signal.SIGXCPU:
            return _too_long()
        return TemplateLimitError(f"its process ended ({code}): it may need too much memory")


def _start(over: Event) -> "subprocess.Popen[bytes]":
    """Start the process from a thread that stays until it is `over`.

    Linux ends a child that asked to end with its parent when the thread ends that started it. The
    caller's may be one of a pool.
    """
    begun: Future[subprocess.Popen[bytes]] = Future()
    command = [sys.executable, "-P", "-m", __name__, str(os.getpid())]

    def keep() -> None:
        try:
            begun.set_result(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            )
        except OSError as error:
            begun.set_exception(error)
            return
        over.wait()

    Thread(target=keep, name="chat-template", daemon=True).start()
    return begun.result()


def _too_long() -> TemplateLimitError:
    return TemplateLimitError(f"it runs for more than {CPU_LIMIT_S} s")


def main(parent: int) -> None:
    """Answer calls until the parent has gone."""
    die_with_parent()
    if os.getppid() != parent:
        sys.exit()
    # Of a terminal's whole group: it is the parent's affair.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lower_limit(resource.RLIMIT_AS, MEMORY_LIMIT_BYTES)
    lower_limit(resource.RLIMIT_CORE, 0)
    for line in sys.stdin.buffer:
        used_s = resource.getrusage(resource.RUSAGE_SELF)
        lower_limit(resource.RLIMIT_CPU, math.ceil(used_s.ru_utime + used_s.ru_stime) + CPU_LIMIT_S)
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def _answer(question: Mapping[str, object]) -> dict[str, object]:
    variables = question["variables"]
    assert isinstance(variables, list)
    try:
        template = _compile(str(question["template"]))
    except MemoryError:
        return {"limit": _too_much_memory()}
    except (*_WHAT_TEMPLATES_RAISE, SyntaxError) as error:
        return {"syntax": str(error) or type(error).__name__}
    try:
        return {"texts": [_render(template, values) for values in variables]}
    except MemoryError:
        return {"limit": _too_much_memory()}
    except TemplateLimitError as error:
        return {"limit": str(error)}


def _render(template: jinja2.Template, variables: Mapping[str, object]) -> str | dict[str, str]:
    try:
        return "".join(_within_limit(template.generate(**variables)))
    except _WHAT_TEMPLATES_RAISE as error:
        return {"refused": str(error) or type(error).__name__}


def _within_limit(pieces: Iterator[str]) -> Iterator[str]:
    """Pass the pieces of an output on, up to its limit."""
    room = OUTPUT_LIMIT_CHARS
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            raise TemplateLimitError(f"it writes more than {OUTPUT_LIMIT_CHARS} characters")
        yield piece


@lru_cache(maxsize=4)
def _compile(text: str) -> jinja2.Template:
    return template_environment().from_string(text)


def _too_much_memory() -> str:
    return f"it needs more than {MEMORY_LIMIT_BYTES >> 20} MiB"


if __name__ == "__main__":
    main(int(sys.argv[1]))
