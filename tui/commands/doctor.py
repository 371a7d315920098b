"""`prodtop doctor`: what this machine has, and what it lacks."""

import msgspec

from ...engine.text.cleaning import clean
from .arguments import Debug, Json
from .json_output import print_json


def doctor(json: Json = False, debug: Debug = False) -> None:
    """Say what this machine has: GPU, driver, torch, Triton, terminal, Python, folders."""
    # Imported here: the other commands need none of it.
    from .diagnosis import diagnose

    diagnosis = diagnose()
    if json:
        print_json(diagnosis)
        return
    for section, facts in msgspec.to_builtins(diagnosis).items():
        print(section.replace("_", " "))
        for name, fact in facts.items():
            print(f"  {name.replace('_', ' '):<16} {_words(fact)}")


def _words(fact: object) -> str:
    """A fact as a user reads it; what is unknown or missing is `--`."""
    match fact:
        case None | "" | []:
            return "--"
        case bool():
            return "yes" if fact else "no"
        case list():
            return "; ".join(_words(item) for item in fact)
        case dict():
            return ", ".join(f"{key} {_words(value)}" for key, value in fact.items())
        case _:
            return clean(str(fact))
