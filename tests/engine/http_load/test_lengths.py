"""Prompts of a length that a server counts: with the bundled tokenizer in a server's place."""

import asyncio

import pytest
from prodtop.engine.http_load.connections import Connections
from prodtop.engine.http_load.event_reader import Answer
from prodtop.engine.http_load.lengths import learn, learn_lengths
from prodtop.engine.http_load.target import Asked, Target
from prodtop.engine.http_load.texts import TextMaker
from prodtop.engine.load.sequence import RequestSequence
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol import LoadSpec
from tokenizers import Tokenizer

TARGET = Target("http://127.0.0.1:1", "any")
REQUESTS = 60
TEMPLATE_TOKENS = 11
SALT = "9f3c01ab"


class Counting(Connections):
    """Answers with the number of tokens that a text has behind a template."""

    def __init__(self, *, refuses: bool = False) -> None:
        super().__init__(TARGET, timeout_s=1.0)
        self._tokenizer = Tokenizer.from_file(str(BUNDLED_FOLDER / "tokenizer.json"))
        self._refuses = refuses
        self.asked: list[Asked] = []

    def count(self, text: str) -> int:
        return TEMPLATE_TOKENS + len(self._tokenizer.encode(text).ids)

    async def ask(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if self._refuses and len(self.asked) > 1:
            return Answer(status=400, error="answers 400")
        return Answer(status=200, prompt_tokens=self.count(asked.text), finished=True)


def spec_of(tokens: int | None) -> LoadSpec:
    return LoadSpec(users=4, prompt_tokens_min=tokens, prompt_tokens_max=tokens)


def lengths(spec: LoadSpec, server: Counting) -> list[int]:
    """Of the prompts of a load, as the server counts them."""
    texts = TextMaker(salt=SALT)

    async def run() -> None:
        await learn(server, texts, TARGET)
        await learn_lengths(server, texts, spec, REQUESTS)

    asyncio.run(run())
    sequence = RequestSequence(spec, texts.prompts)
    return [server.count(texts.text(sequence.draw(each, 0.0))) for each in range(REQUESTS)]


@pytest.mark.parametrize("tokens", [64, 512, 3000])
def test_every_prompt_has_its_length(tokens: int) -> None:
    found = lengths(spec_of(tokens), Counting())
    assert found == pytest.approx([tokens] * REQUESTS, rel=0.05, abs=8)
    assert sum(found) == pytest.approx(tokens * REQUESTS, rel=0.03)


def test_each_prompt_is_counted_once_and_without_the_salt_of_the_load() -> None:
    server = Counting()
    lengths(spec_of(512), server)
    texts = [each.text for each in server.asked]
    assert len(texts) == len(set(texts)) <= REQUESTS + 2
    assert not any(text.startswith(SALT) for text in texts)
    assert {each.max_tokens for each in server.asked} == {1}


def test_nothing_is_counted_where_prompts_are_as_they_are() -> None:
    server = Counting()
    lengths(spec_of(None), server)
    assert len(server.asked) == 1


def test_a_server_that_refuses_to_count_leaves_the_usual_measure() -> None:
    found = lengths(spec_of(512), Counting(refuses=True))
    assert sum(found) == pytest.approx(512 * REQUESTS, rel=0.3)
