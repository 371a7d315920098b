"""Nothing that reaches the screen from outside carries a control character."""

import unicodedata

import msgspec
from frames import MODEL, frame, host, ready
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import ENCODER, Note, StrategyName
from prodtop.tui.state.report_cleaning import clean_report

CLIPBOARD = "\x1b]52;c;aGVsbG8=\x07"


def strings(value: object) -> list[str]:
    """Every string in a decoded report."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return []


def controls(report: object) -> set[str]:
    tree: object = msgspec.msgpack.decode(ENCODER.encode(report))
    found = {c for text in strings(tree) for c in text if unicodedata.category(c) == "Cc"}
    return found - {"\n"}


@settings(deadline=None)
@given(evil=st.text(st.characters(codec="utf-8"), max_size=40))
def test_every_string_of_a_frame_is_cleaned(evil: str) -> None:
    stream = frame().stream
    assert stream is not None
    dirty = msgspec.structs.replace(
        frame(),
        model=msgspec.structs.replace(MODEL, name=evil),
        device_name=evil,
        switching=evil,
        stream=msgspec.structs.replace(stream, text=evil, prompt=evil),
    )
    assert not controls(clean_report(dirty))


def test_names_in_lists_and_tables_are_cleaned() -> None:
    sample = host()
    gpus = [msgspec.structs.replace(gpu, name=CLIPBOARD) for gpu in sample.gpus]
    assert not controls(clean_report(msgspec.structs.replace(sample, gpus=gpus)))
    versions = msgspec.structs.replace(ready(), versions={CLIPBOARD: CLIPBOARD})
    assert not controls(clean_report(versions))


def test_a_clean_report_is_left_as_it_is() -> None:
    clean = frame()
    assert clean_report(clean) == clean
    assert clean_report(Note(message="all is well")) == Note(message="all is well")


def test_names_of_the_protocol_keep_their_type() -> None:
    cleaned = clean_report(msgspec.structs.replace(frame(), device_name="\x1b[2J"))
    assert isinstance(getattr(cleaned, "strategy", None), StrategyName)


def test_line_breaks_stay_in_the_text_and_nowhere_else() -> None:
    stream = frame().stream
    assert stream is not None
    dirty = msgspec.structs.replace(
        frame(), device_name="a\nb", stream=msgspec.structs.replace(stream, text="a\nb")
    )
    cleaned = clean_report(dirty)
    assert getattr(cleaned, "device_name", None) == "a b"
    assert getattr(getattr(cleaned, "stream", None), "text", None) == "a\nb"
