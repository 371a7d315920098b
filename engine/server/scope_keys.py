"""What the layers of the server tell each other of a request: the keys that they use in its scope.

All are set by the server alone; a scope's other keys are ASGI's and Starlette's.
"""

from typing import Final

ERROR_CODE: Final = "prodtop.error_code"
"""Why a request was refused: the error's code, if it has one."""
BROKEN_OFF: Final = "prodtop.broken_off"
"""Set where an answer began and could not be finished."""
GENERATION: Final = "prodtop.generation"
"""The request's `Generation`, once it has one."""
BODY: Final = "prodtop.body"
"""The body's bytes, where prompts are to be logged."""
SLOT: Final = "prodtop.slot"
"""The request's `Slot` among those in flight."""
ABORT_CONNECTION: Final = "prodtop.abort_connection"
"""Ends the connection without waiting for what its client has not read."""
KEY_ID: Final = "prodtop.key_id"
"""The hash of the API key that was checked, where keys are."""
