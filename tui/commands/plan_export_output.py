"""What `prodtop plan export` prints and writes."""

import sys
from pathlib import Path

import msgspec

from ...engine.files.atomic import write_atomically
from ...engine.planner.cost.memory import GIB
from ...engine.planner.export.choose import Chosen
from ...engine.planner.question.question import Question
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean
from .plan_json import layout_object

SCHEMA_VERSION = 1


def print_text(chosen: Chosen) -> None:
    """The configuration on stdout, so that it can go into a file; all else on stderr."""
    print(chosen.export.text, end="")
    for line in _about(chosen):
        print(clean(line), file=sys.stderr)


def print_json(chosen: Chosen, question: Question) -> None:
    """The export and the estimate of its layout as one object."""
    exported = chosen.export
    content = {
        "schema_version": SCHEMA_VERSION,
        "engine": exported.engine,
        "version": exported.version,
        "file_name": exported.file_name,
        "text": exported.text,
        "launch": exported.launch,
        "notes": exported.notes,
        "estimate": layout_object(chosen.estimate, question),
    }
    print(msgspec.json.encode(content).decode())


def write_folder(chosen: Chosen, folder: Path) -> None:
    """Write the configuration and `launch.sh` into `folder`, which is made where it is missing.

    Raises `BadInputError` where that cannot be done.
    """
    exported = chosen.export
    target = folder.expanduser()
    try:
        target.mkdir(parents=True, exist_ok=True)
        write_atomically(target / exported.file_name, exported.text.encode())
        write_atomically(target / "launch.sh", f"{exported.launch}\n".encode())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInputError(f"cannot write --out {clean(str(folder))}: {reason}") from error
    for line in (f"wrote {exported.file_name} and launch.sh to {folder}", *_about(chosen)):
        print(clean(line), file=sys.stderr)


def _about(chosen: Chosen) -> list[str]:
    """The layout and its estimate, how to start it, and what to know."""
    exported, estimate = chosen.export, chosen.estimate
    gib = estimate.memory.total / GIB
    return [
        f"{exported.engine} {exported.version}: {estimate.layout.shorthand}; estimated"
        f" {estimate.step_s:.3g} s a step, {gib:.1f} GiB a GPU",
        f"start: {exported.launch}",
        *(f"note: {note}" for note in exported.notes),
    ]
