"""What libraries log in the server: where a defect was, never what its error says.

The text of an error may quote a prompt, a header, a path: all that clients choose. `--log-prompts`
lets it through.
"""

import logging
import sys
import traceback
from types import TracebackType

_ErrorInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class _WithoutErrorTexts(logging.Formatter):
    """Errors are their type and their frames, those that they came of included."""

    def formatException(self, ei: _ErrorInfo) -> str:  # noqa: N802  # logging's own name
        error = ei[1]
        return "" if error is None else "\n".join(_lines(error))


def _lines(error: BaseException) -> list[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = [] if before is None else [*_lines(before), "which led to"]
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__))
    return [*lines, type(error).__qualname__, *(frame.rstrip("\n") for frame in frames)]


def log_errors(*, with_texts: bool) -> None:
    """Have warnings and errors of all libraries printed, as `with_texts` says."""
    handler = logging.StreamHandler(sys.stderr)
    kind = logging.Formatter if with_texts else _WithoutErrorTexts
    handler.setFormatter(kind("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
