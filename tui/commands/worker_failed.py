"""The error that the worker's fault becomes."""

from ...engine.protocol import Fault
from ...engine.protocol.errors import ProdtopError


class WorkerFailedError(ProdtopError):
    """The worker could not do what was asked, and said why; the exit code is its own."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.exit_code = fault.exit_code
