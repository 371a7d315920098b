"""`python -m prodtop.engine.http_load --options JSON`: the generator; it tells lines of JSON."""

import argparse
import asyncio
import sys

import msgspec

from ..protocol.child_process import raise_open_files
from ..protocol.errors import ProdtopError
from ..protocol.message import Message
from ..text.clean_stream import clean_output
from .main import measure
from .messages import LoadFailed, from_argument

MOST_FILES = 16_384
"""A connection for each request at once."""


def main() -> int:
    """Measure; the exit code is the error's, if any."""
    parser = argparse.ArgumentParser(prog="python -m prodtop.engine.http_load")
    parser.add_argument("--options", required=True)
    arguments = parser.parse_args()
    raise_open_files(MOST_FILES)
    try:
        asyncio.run(measure(from_argument(arguments.options), tell))
    except ProdtopError as error:
        tell(LoadFailed(reason=str(error), exit_code=error.exit_code))
        return error.exit_code
    return 0


def tell(message: Message) -> None:
    """Print a message."""
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with clean_output():
        exit_code = main()
    sys.exit(exit_code)
