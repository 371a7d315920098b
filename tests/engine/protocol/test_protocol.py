"""The messages as one package: what its files define can be imported from it, and can be sent."""

from importlib import import_module
from pkgutil import iter_modules
from typing import get_args

import msgspec
import pytest
from prodtop.engine import protocol
from prodtop.engine.protocol import (
    COMMAND_DECODER,
    ENCODER,
    REPORT_DECODER,
    BurstSpec,
    Command,
    LoadSpec,
    Message,
    RampSpec,
    Report,
    SetStrategy,
    StrategyName,
    TraceSpec,
    describe_load,
)
from prodtop.engine.protocol.served import ServerCommand, ServerReport

NOT_MESSAGES = {
    *("api_keys", "bounds", "channel", "errors", "handover"),
    *("options", "served", "server_operations", "server_options"),
}
"""How messages travel, what goes wrong, what a process is started with, and what only worker and
server tell each other: imported by file."""

FILES = [m.name for m in iter_modules(protocol.__path__) if m.name not in NOT_MESSAGES]


@pytest.mark.parametrize("file", FILES)
def test_all_that_a_file_defines_can_be_imported_from_the_package(file: str) -> None:
    module = import_module(f"{protocol.__name__}.{file}")
    defined = {name for name, value in vars(module).items() if defined_in(value, module.__name__)}
    assert defined <= set(vars(protocol))


def defined_in(value: object, module: str) -> bool:
    return isinstance(value, type) and value.__module__ == module


def test_every_message_is_one_that_somebody_decodes() -> None:
    """A message that is in no union would be refused where it arrives."""
    unions = (Command, Report, ServerCommand, ServerReport)
    assert set(Message.__subclasses__()) == {each for union in unions for each in get_args(union)}


def test_a_message_goes_by_the_name_of_its_class() -> None:
    """Recordings on disk hold these names: the file that defines a message is none of them."""
    sent = ENCODER.encode(SetStrategy(name=StrategyName.HYBRID))
    assert msgspec.msgpack.decode(sent) == {"type": "SetStrategy", "name": "hybrid"}
    assert COMMAND_DECODER.decode(sent) == SetStrategy(name=StrategyName.HYBRID)


def test_a_command_is_no_report() -> None:
    with pytest.raises(msgspec.ValidationError):
        REPORT_DECODER.decode(ENCODER.encode(SetStrategy(name=StrategyName.SINGLE)))


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (LoadSpec(users=1), "1 user"),
        (LoadSpec(users=32), "32 users"),
        (LoadSpec(rate_per_s=2.5), "2.5/s"),
        (LoadSpec(rate_per_s=4.0), "4/s"),
        (LoadSpec(paused=True), "no load"),
        (LoadSpec(rate_per_s=4.0, paused=True), "no load"),
        (LoadSpec(users=64, ramp=RampSpec(start=1, seconds=60)), "1 → 64 users in 60 s"),
        (
            LoadSpec(rate_per_s=50, ramp=RampSpec(start=2.5, seconds=9)),
            "2.5/s → 50/s in 9 s",
        ),
        (
            LoadSpec(rate_per_s=0, burst=BurstSpec(rate_per_s=50, seconds=5, every_s=30)),
            "50/s for 5 of 30 s",
        ),
        (
            LoadSpec(rate_per_s=2, burst=BurstSpec(rate_per_s=50, seconds=5, every_s=30)),
            "2/s, 50/s for 5 of 30 s",
        ),
        (LoadSpec(trace=TraceSpec(path="/a/b/conv.csv", speed=2)), "trace conv.csv ×2"),
        (LoadSpec(trace=TraceSpec(path="c.csv", loop=True)), "trace c.csv ×1 looped"),
        (LoadSpec(trace=TraceSpec(path="c.csv"), paused=True), "no load"),
    ],
)
def test_a_load_in_words(load: LoadSpec, words: str) -> None:
    assert describe_load(load) == words
