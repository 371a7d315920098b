"""Errors that a user can act on: each is one line that says what is wrong and what to do."""


class ProdtopError(Exception):
    """Base of every error that reaches the user as one line; `exit_code` is the process's."""

    exit_code = 1


class WorkerFailedError(ProdtopError):
    """The worker could not do what was asked, and said why; the exit code is its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class BadInputError(ProdtopError):
    """What the user gave cannot be used: an unknown name, a malformed file, an impossible value."""

    exit_code = 2


class DeviceUnavailableError(BadInputError):
    """The device asked for is not on this machine."""


class PrecisionUnavailableError(BadInputError):
    """This device cannot run the precision asked for."""


class CheckpointError(BadInputError):
    """A model folder that cannot be loaded: a missing tensor, a wrong shape, an unknown type."""


class BrokenWeightsError(CheckpointError):
    """A tensor of a checkpoint that holds NaN or infinity, with which a model gives no answers."""


class DraftModelError(BadInputError):
    """A draft model that cannot guess for the model served: another vocabulary, a short context."""


class PromptTooLongError(BadInputError):
    """A prompt that leaves no room for a single output token in the model's context."""


class RequestTooLargeError(BadInputError):
    """A request whose prompt and output could never fit into the KV blocks that there are."""


class UnreadableAnswerError(ProdtopError):
    """What a watched server answered is not what was asked for: garbage, or more than is read."""
