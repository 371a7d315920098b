"""`prodtop`: the command line, and the edge at which every error becomes one line."""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

import typer
from typer.core import TyperCommand, TyperGroup

from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.text.clean_stream import clean_output
from ...engine.text.cleaning import clean
from .attach import attach
from .bench import bench
from .compare import compare
from .cost import cost
from .diff import diff
from .doctor import doctor
from .guards import guards
from .live import live, with_usual_values
from .quality import quality
from .ready import ready
from .record import record
from .recording import recordings
from .replay import replay
from .review import review
from .serve import serve
from .snapshot import snapshots
from .streams import OutputGoneError, finish_output, guard_streams
from .trace import traces
from .whatif import whatif

PLAN = "plan"
LONGEST_SIZE = 4
"""Digits of a terminal's columns or lines."""


class Commands(TyperGroup):
    """All commands. `plan` is loaded when it is named or listed: its options read the planner's
    tables, for which the screen and the other commands need not wait."""

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """The command of that name."""
        if cmd_name == PLAN:
            from .plan import plan

            self.commands[PLAN] = typer.main.get_group(plan)
        command = self.commands.get(cmd_name)
        return command if isinstance(command, TyperCommand | TyperGroup) else None


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    # Rich's boxes are slow to import, and an error is one line here.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(invoke_without_command=True)(live)
app.command()(attach)
app.command()(bench)
app.command()(quality)
app.command()(compare)
app.command()(whatif)
app.command()(cost)
app.command()(serve)
app.command()(ready)
app.command()(doctor)
# Holds the place of `plan` until it is loaded.
app.add_typer(typer.Typer(), name=PLAN)
app.command()(record)
app.command()(replay)
app.command()(diff)
app.add_typer(snapshots)
app.add_typer(recordings)
app.add_typer(traces)
app.add_typer(review)
app.add_typer(guards)


def main() -> None:
    """The installed command."""
    guard_streams()
    arguments = sys.argv[1:]
    sys.excepthook = _show_unexpected if "--debug" not in arguments else sys.__excepthook__
    try:
        sys.exit(run(arguments))
    finally:
        # Else the interpreter does, and complains.
        with contextlib.suppress(ProdtopError):
            finish_output()


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are shown as one line on stderr."""
    with clean_output():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    command = typer.main.get_command(app)
    try:
        _drop_absurd_sizes()
        _check_text(arguments)
        # Not standalone: typer then raises its usage errors instead of drawing them.
        named = command.commands if isinstance(command, TyperGroup) else {}
        given = with_usual_values(arguments, named)
        code = command.main(args=given, prog_name="prodtop", standalone_mode=False)
        finish_output()
    except typer.TyperException as error:
        return _show(error, f"{error.format_message()} (see prodtop --help)", 2, arguments)
    except OutputGoneError as error:
        return error.exit_code
    except ProdtopError as error:
        return _show(error, str(error), error.exit_code, arguments)
    return code if isinstance(code, int) else 0


def _drop_absurd_sizes() -> None:
    """Forget a size of the terminal that is no number: Rich takes any digit of Unicode for one."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "")
        if not (size.isascii() and size.isdigit() and len(size) <= LONGEST_SIZE):
            os.environ.pop(name, None)


def _check_text(arguments: Sequence[str]) -> None:
    """Raise `BadInputError` for bytes that are no text: they would not reach the worker."""
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError as error:
        raise BadInputError("the command line is not UTF-8 text: check the names in it") from error


def _show(error: Exception, line: str, exit_code: int, arguments: Sequence[str]) -> int:
    # Where the terminal has gone nobody reads it.
    with contextlib.suppress(OSError):
        if "--debug" in arguments:
            traceback.print_exception(error)
        print(f"prodtop: {clean(line)}", file=sys.stderr, flush=True)
    return exit_code


def _show_unexpected(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """A defect of prodtop itself still is one line, and says how to see more."""
    words = clean(f"{kind.__name__}: {error}")
    print(f"prodtop: {words} (a defect: --debug shows where)", file=sys.stderr)


if __name__ == "__main__":
    main()
