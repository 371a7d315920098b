"""Truncated, mutated and irregular GGUF files: one line that says what is wrong, or a model."""

import struct
import tracemalloc
from pathlib import Path

import pytest
from checkpoints import TinyShape, make_peer
from gguf_samples import Type, write_model
from hypothesis import given, settings
from hypothesis import strategies as st
from irregular_files import HOSTILE
from prodtop.engine.model.gguf.reader import read_gguf
from prodtop.engine.model.loading import LoadedModel, load_model
from prodtop.engine.protocol.errors import CheckpointError

LARGEST_ALLOCATION_BYTES = 64 << 20
"""Of Python's and numpy's memory, for a file of 200 KB; a count that was believed takes more."""

SHAPE = TinyShape(layers=1, hidden=32, heads=2, kv_heads=1, intermediate=32)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, int]:
    """Where to write, a whole file, and where its header ends."""
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write_model(path, make_peer(SHAPE), Type.Q8_0)
    first = min(tensor.offset for tensor in read_gguf(path).tensors.values())
    return path, path.read_bytes(), first


def loaded(path: Path, content: bytes) -> LoadedModel | None:
    """The model, whole enough to be used, or nothing where it was refused in a line."""
    # A new file: the old one may still be mapped.
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    tracemalloc.start()
    try:
        model = load_model(str(path))
    except CheckpointError as error:
        line = str(error)
        assert "m.gguf" in line
        assert line.isprintable()
        assert len(line) < 600 + len(str(path))
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < LARGEST_ALLOCATION_BYTES
    assert sum(each.numel() for each in {id(t): t for t in model.master.tensors()}.values()) < 1e6
    assert isinstance(model.tokenizer.decode([1, 2, 3]), str)
    return model


def test_the_whole_file_is_a_model(sample: tuple[Path, bytes, int]) -> None:
    path, content, _ = sample
    assert loaded(path, content) is not None


@settings(deadline=None, max_examples=60)
@given(share=st.floats(0, 1))
def test_a_truncated_file_is_refused(sample: tuple[Path, bytes, int], share: float) -> None:
    path, content, _ = sample
    assert loaded(path, content[: int(share * (len(content) - 40))]) is None


NUMBERS = st.sampled_from([0, 1, 2, 8, 9, 255, 2**16, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1])


@settings(deadline=None, max_examples=120)
@given(data=st.data())
def test_a_mutated_header_is_refused_or_a_model(
    sample: tuple[Path, bytes, int], data: st.DataObject
) -> None:
    path, content, header = sample
    changed = bytearray(content)
    # The tokens and merges take most of a header: half of the changes go beside them.
    begin = content.index(b"tokenizer.ggml.tokens")
    end = content.index(b"tokenizer.ggml.bos_token_id")
    places = st.one_of(st.integers(0, begin + 40), st.integers(end, header - 8))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.one_of(places, st.integers(0, header - 8)))
        if data.draw(st.booleans()):
            changed[place : place + 8] = struct.pack("<Q", data.draw(NUMBERS))
        else:
            changed[place] = data.draw(st.integers(0, 255))
    loaded(path, bytes(changed))


def header(keys: bytes, count: int = 1, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, count) + keys


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def array(kind: int, count: int, content: bytes = b"") -> bytes:
    return text(b"a") + struct.pack("<IIQ", 9, kind, count) + content


TENSOR = text(b"t") + struct.pack("<IQIQ", 1, 8, 0, 0)

CRAFTED = {
    "no GGUF": (b"GGML" + bytes(20), "is no GGUF file"),
    "version 1": (header(b"", version=1), "version 1"),
    "big-endian": (header(b"", version=3 << 24), "big-endian"),
    "keys without end": (header(b"", count=2**63), "damaged"),
    "tensors without end": (header(b"", 0, 2**63), "damaged"),
    "a name without end": (header(struct.pack("<Q", 2**63)), "a text of 9223372036854775808"),
    "a text without end": (
        header(text(b"a") + struct.pack("<IQ", 8, 2**62)),
        "a text of 4611686018427387904",
    ),
    "an array without end": (header(array(0, 2**63)), "more than 4194304 values"),
    "texts that are not there": (header(array(8, 2**21)), "ends within its header"),
    "nested arrays": (header(array(9, 1, struct.pack("<IQ", 9, 1) * 9)), "an array of arrays"),
    "an unknown type": (header(text(b"a") + struct.pack("<II", 77, 0)), "unknown type 77"),
    "no truth value": (header(text(b"a") + struct.pack("<IB", 7, 2)), "neither 0 nor 1"),
    "no UTF-8": (header(text(b"\xff")), "is not UTF-8"),
    "a key twice": (header((text(b"a") + struct.pack("<II", 4, 1)) * 2, 2), "'a' twice"),
    "an alignment of 0": (
        header(text(b"general.alignment") + struct.pack("<II", 4, 0)),
        "no power of two",
    ),
    "an alignment of 3": (
        header(text(b"general.alignment") + struct.pack("<II", 4, 3)),
        "no power of two",
    ),
    "a tensor beyond the end": (header(TENSOR, 0, 1) + bytes(32), "ends within tensor 't'"),
    "a tensor twice": (
        header(TENSOR + text(b"t") + struct.pack("<IQIQ", 1, 8, 0, 32), 0, 2) + bytes(99),
        "the tensor 't' twice",
    ),
    "a tensor within another": (
        header(TENSOR + text(b"u") + struct.pack("<IQIQ", 1, 8, 0, 0), 0, 2) + bytes(99),
        "begins within the one before it",
    ),
    "an odd offset": (
        header(text(b"t") + struct.pack("<IQIQ", 1, 8, 0, 4), 0, 1) + bytes(99),
        "does not begin at a multiple of 32",
    ),
    "an offset without end": (
        header(text(b"t") + struct.pack("<IQIQ", 1, 8, 0, 2**64 - 32), 0, 1) + bytes(99),
        "ends within tensor 't'",
    ),
    "no values": (header(text(b"t") + struct.pack("<IQIQ", 1, 0, 0, 0), 0, 1), "dimensions [0]"),
    "five dimensions": (header(text(b"t") + struct.pack("<I", 5), 0, 1), "has 5 dimensions"),
    "half a block": (
        header(text(b"t") + struct.pack("<IQIQ", 1, 33, 8, 0), 0, 1) + bytes(99),
        "needs blocks of 32",
    ),
    "an unknown tensor type": (
        header(text(b"t") + struct.pack("<IQIQ", 1, 8, 99, 0), 0, 1) + bytes(99),
        "of the unknown type 99",
    ),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    content, words = CRAFTED[name]
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_gguf(path)
    assert words in str(caught.value)
    assert "m.gguf" in str(caught.value)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_no_such_file_is_one_line(hostile: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    HOSTILE[hostile](path)
    with pytest.raises(CheckpointError, match=r"m\.gguf") as caught:
        read_gguf(path)
    assert str(caught.value).isprintable()


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").symlink_to(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="is a link to something that is not there"):
        load_model(str(tmp_path / "m.gguf"))
