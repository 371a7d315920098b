"""What a recording says of itself, beside what was recorded."""

import platform


def recording_facts() -> dict[str, str]:
    """The versions of what records."""
    # Here and not above: it costs a tenth of the time to the first frame.
    from importlib import metadata

    return {"prodtop": metadata.version("prodtop"), "python": platform.python_version()}
