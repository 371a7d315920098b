"""Loads on servers: the generator's process, and what it tells."""

import subprocess
from collections.abc import Iterator

from ...engine.http_load.messages import (
    DECODER,
    HttpLoadOptions,
    LoadFailed,
    LoadProgress,
    ServerResult,
    to_argument,
)
from ...engine.protocol.errors import BadInputError, ProdtopError, WorkerFailedError
from ...engine.protocol.options import child_command

GENERATOR = "prodtop.engine.http_load"
LAGS_FROM_MS = 5.0
"""A generator that is later than this makes part of the latencies itself."""


def generated(options: HttpLoadOptions) -> Iterator[LoadProgress | ServerResult]:
    """What the generator tells until it has measured all its loads. It ends with this process.

    Raises `BadInputError` and `ProdtopError` with what it says went wrong.
    """
    command = child_command(GENERATOR, ["--options", to_argument(options)])
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                told = DECODER.decode(line)
                if isinstance(told, LoadFailed):
                    raise _failure(told)
                yield told
        finally:
            process.terminate()
    if process.returncode not in (0, None):
        raise ProdtopError(f"the load generator ended with exit code {process.returncode}")


def _failure(told: LoadFailed) -> ProdtopError:
    if told.exit_code == BadInputError.exit_code:
        return BadInputError(told.reason)
    return WorkerFailedError(told.reason, told.exit_code)


def lag_words(result: ServerResult) -> str:
    """What is to be said where the generator itself was late; empty where it kept up."""
    lag = result.loop_lag_ms
    if lag is None or lag.p99 < LAGS_FROM_MS:
        return ""
    return f"the generator was late: p99 {lag.p99:.1f} ms, which is in every latency"
