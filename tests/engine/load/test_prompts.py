"""The bundled prompts are fit for their use, and a bad file is named as such."""

import json
from collections import Counter

import pytest
from prodtop.engine.load.prompts import bundled_prompts, parse_prompts
from prodtop.engine.protocol.errors import BadInputError

PROMPTS = bundled_prompts()


def encoded(**changes: object) -> bytes:
    group = {"name": "one", "system": "A scene.", "prompts": ["It rained.", "It snowed."]}
    return json.dumps({"schema": 1, "groups": [group], **changes}).encode()


def test_there_are_enough_and_none_twice() -> None:
    assert len(PROMPTS) >= 240
    assert len({prompt.text for prompt in PROMPTS}) == len(PROMPTS)


def test_groups_are_even_and_share_their_beginning() -> None:
    sizes = Counter(prompt.group for prompt in PROMPTS)
    assert len(sizes) == 8
    assert min(sizes.values()) >= 30
    assert len({prompt.system for prompt in PROMPTS}) == len(sizes)
    assert all(prompt.text == f"{prompt.system}\n\n{prompt.opening}" for prompt in PROMPTS)


def test_the_first_prompts_touch_every_group() -> None:
    assert len({prompt.group for prompt in PROMPTS[:8]}) == 8


def test_openings_do_not_begin_alike() -> None:
    """A template that swaps names would show: here hardly two share their first four words."""
    beginnings = Counter(tuple(prompt.opening.split()[:4]) for prompt in PROMPTS)
    assert max(beginnings.values()) <= 3
    assert len(beginnings) >= 0.95 * len(PROMPTS)


def test_lengths_and_characters_are_as_meant() -> None:
    for prompt in PROMPTS:
        assert 20 <= len(prompt.opening.split()) <= 80, prompt.opening
        assert 60 <= len(prompt.system.split()) <= 120, prompt.system
        assert prompt.opening.isascii()
        assert prompt.opening.isprintable()
        assert prompt.system.isascii()
        assert prompt.system.isprintable()


def test_a_short_file_is_read_in_turn() -> None:
    groups = [
        {"name": "a", "system": "A.", "prompts": ["a1", "a2", "a3"]},
        {"name": "b", "system": "B.", "prompts": ["b1"]},
    ]
    found = parse_prompts(encoded(groups=groups))
    assert [prompt.opening for prompt in found] == ["a1", "b1", "a2", "a3"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "malformed"),
        (b"\xff", "malformed"),
        (encoded(groups=[]), "malformed"),
        (encoded(groups=[{"name": "a", "system": "A.", "prompts": [""]}]), "malformed"),
        (encoded(groups=[{"name": "a", "system": "A."}]), "prompts"),
        (encoded(more=1), "more"),
        (encoded(schema=2), "schema 2"),
    ],
    ids=["cut off", "not text", "no group", "empty prompt", "no prompts", "unknown", "newer"],
)
def test_a_malformed_file_is_refused_with_the_reason(content: bytes, problem: str) -> None:
    with pytest.raises(BadInputError, match=problem):
        parse_prompts(content)
