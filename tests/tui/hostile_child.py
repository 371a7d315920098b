"""The command `prodtop` over a scripted engine all of whose texts are hostile."""

import os
import sys
from enum import Enum

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
sys.path.insert(0, os.path.dirname(sys.path[0]))  # noqa: PTH120

import msgspec
from frames import ScriptedClient, play, ready
from hostile_text import HOSTILE
from prodtop.engine.protocol import ChildDied, Fault, Note, Progress, Report, Switched
from prodtop.tui.commands import live
from prodtop.tui.commands.main import main


def spoiled(value: object) -> object:
    """The same with every text replaced, but for those of a fixed list."""
    if isinstance(value, msgspec.Struct):
        fields = {name: spoiled(getattr(value, name)) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, str):
        return value if isinstance(value, Enum) else HOSTILE
    if isinstance(value, list):
        return [spoiled(each) for each in value]
    if isinstance(value, dict):
        return {key: spoiled(each) for key, each in value.items()}
    return value


TOLD: list[Report] = [
    ready(),
    Progress(what="loading", fraction=0.5),
    Note(message="a note"),
    Fault(message="a fault"),
    Switched(kind="strategy", old="a", new="b", at_s=20.0, took_s=0.1),
]


class Engine(ScriptedClient):
    """Takes the engine's place."""

    aborted_at_close = 0

    def __init__(self, _options: object, server: object = None) -> None:
        super().__init__([*play(30), TOLD])
        self._deaths: list[Report] = [
            ChildDied(child="probe", reason=HOSTILE, log=HOSTILE, given_up=True)
        ]

    def start(self) -> None:
        pass

    def poll(self) -> list[Report]:
        reports: list[object] = [spoiled(report) for report in super().poll()]
        if not self.polls:
            reports += self._deaths
            self._deaths = []
        return reports  # type: ignore[return-value]  # of the types that they were


setattr(live, "LocalEngine", Engine)  # noqa: B010 (a stand-in with what is used of it)
main()
