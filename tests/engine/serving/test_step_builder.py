"""From a step's chunks to the words that the device reads."""

from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.kernels.attention.gather_plan import PrefillTiles
from prodtop.engine.ops.step_layout import DeviceStep, HostStep, StepLayout
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS
from prodtop.engine.serving.request import Request, Sampling, Status
from prodtop.engine.serving.sampler import SamplingBatch
from prodtop.engine.serving.step_builder import BuiltStep, StepBuilder
from prodtop.engine.serving.step_plan import Chunk

WIDTH = 8
SEQUENCES = 4


def request_of(
    number: int, prompt: int, output: int = 0, sampling: Sampling | None = None
) -> Request:
    """A running request whose token at position `p` is `1000 · number + p`."""
    request = Request(
        number,
        [1000 * number + position for position in range(prompt)],
        9,
        sampling or Sampling(),
        0.0,
        noise_seed=77 + number,
    )
    request.tokens += [1000 * number + prompt + position for position in range(output)]
    request.status = Status.RUNNING
    request.block_ids = [100 * number + block for block in range(WIDTH)]
    return request


def one_tile_each(queries: object, keys: Sequence[int], may_gather: bool) -> PrefillTiles:
    tiles = np.zeros((1, 2), dtype=np.int32)
    return PrefillTiles.gathered(tiles, keys) if may_gather else PrefillTiles.paged(tiles)


def rows(count: int) -> StepLayout:
    """The size of a decode step."""
    return StepLayout(count, count, count, count, WIDTH)


def builder() -> StepBuilder:
    return StepBuilder(SEQUENCES, WIDTH, one_tile_each)


def filled(built: BuiltStep) -> HostStep:
    words = np.full(built.layout.words, 123_456, dtype=np.int32)
    built.fill(words)
    return HostStep.over(words, built.layout)


def test_decode_rows_are_padded_with_rows_that_nobody_stores() -> None:
    chunks = [Chunk(request_of(1, 20), 1, 19), Chunk(request_of(2, 40), 1, 39)]
    built = builder().decode(chunks, {}, rows(4))
    step = filled(built)
    assert [chunk.request.request_id for chunk in built.sampled] == [2, 1], "the longest first"
    assert step.tokens.tolist() == [2039, 1019, 0, 0]
    assert step.positions.tolist() == [39, 19, 0, 0]
    assert step.seq_lens.tolist() == [40, 20, 0, 0]
    assert step.slots.tolist() == [202 * BLOCK_TOKENS + 7, 101 * BLOCK_TOKENS + 3, -1, -1]
    assert step.carried.tolist() == [-1] * 4
    assert step.top_p.tolist() == [1.0] * 4
    assert step.block_table[0].tolist() == [200 + block for block in range(WIDTH)]


def test_a_token_that_is_not_known_yet_is_taken_from_the_step_before() -> None:
    known, pending = request_of(1, 20), request_of(2, 10)
    chunks = [Chunk(known, 1, 19), Chunk(pending, 1, 10)]
    step = filled(builder().decode(chunks, {2: 3}, rows(2)))
    assert step.tokens.tolist() == [1019, 0]
    assert step.carried.tolist() == [-1, 3]
    assert step.positions.tolist() == [19, 10]


def test_chunks_follow_the_decode_rows_and_only_newest_tokens_are_sampled() -> None:
    chunks = [
        Chunk(request_of(1, 30), 5, 0, samples=False),
        Chunk(request_of(2, 20), 1, 19),
        Chunk(request_of(3, 25), 7, 18),
    ]
    built = builder().mixed(chunks, {})
    step = filled(built)
    assert [chunk.request.request_id for chunk in built.chunks] == [2, 1, 3]
    assert [chunk.request.request_id for chunk in built.sampled] == [2, 3]
    assert (built.layout.rows, built.layout.decode, built.layout.sampled) == (13, 1, 2)
    assert step.tokens.tolist() == [2019, *range(1000, 1005), *range(3018, 3025)]
    assert step.positions.tolist() == [19, *range(5), *range(18, 25)]
    assert step.seq_lens.tolist() == [20, 5, 25]
    assert step.query_starts.tolist() == [0, 5, 12]
    assert step.sampled_rows.tolist() == [0, 12]


def test_each_draft_is_followed_by_a_token_of_its_own() -> None:
    request = request_of(1, 20)
    built = builder().mixed([Chunk(request, 3, 19, drafts=(7, 8))], {})
    step = filled(built)
    assert step.tokens.tolist() == [1019, 7, 8]
    assert step.sampled_rows.tolist() == [0, 1, 2]
    assert len(set(step.keys.tolist())) == 3


def test_a_step_that_is_padded_has_its_chunks_behind_the_idle_decode_rows() -> None:
    chunks = [
        Chunk(request_of(1, 30), 5, 0, samples=False),
        Chunk(request_of(2, 20), 1, 19),
        Chunk(request_of(3, 25), 7, 18),
    ]
    size = StepLayout(rows=20, sequences=7, decode=3, sampled=5, width=WIDTH, tiles=4)
    exact = builder().mixed(chunks, {}, lambda _: None)
    built = builder().mixed(chunks, {}, lambda _: size)
    assert (exact.padded, built.padded) == (False, True)
    assert built.layout == size
    step, plain = filled(built), filled(exact)
    prompts = [*range(1000, 1005), *range(3018, 3025)]
    assert step.tokens.tolist() == [2019, 0, 0, *prompts, *[0] * 5]
    assert step.slots[[0, *range(3, 15)]].tolist() == plain.slots.tolist()
    assert step.slots[[1, 2, *range(15, 20)]].tolist() == [-1] * 7
    assert step.carried.tolist() == [-1] * 20
    assert step.seq_lens.tolist() == [20, 0, 0, 5, 25, 0, 0]
    assert step.query_starts.tolist() == [0, 5, 12, 12, 12]
    assert step.tiles.tolist() == [[0, 0], [-1, -1], [-1, -1], [-1, -1]]
    assert plain.key_tiles.tolist() == [0, 1]
    assert plain.key_starts.tolist() == [0, 64]
    assert not len(step.key_tiles), "a step that may be captured gathers nothing"
    assert step.sampled_rows.tolist() == [0, 14, 0, 0, 0]
    assert step.keys[:2].tolist() == plain.keys.tolist()
    assert step.block_table[[0, 3, 4], 0].tolist() == plain.block_table[:, 0].tolist()


@given(st.integers(0, 2**70), st.integers(1, 40), st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_noise_is_that_of_plain_sampling(seed: int, prompt: int, output: int) -> None:
    request = request_of(1, prompt, output, Sampling(temperature=0.7, top_p=0.9, top_k=5))
    request.noise_seed = seed
    step = filled(builder().decode([Chunk(request, 1, request.num_tokens - 1)], {}, rows(1)))
    plain = SamplingBatch.of([request], torch.device("cpu"))
    assert step.keys.view(np.int64).tolist() == plain.keys.tolist()
    assert torch.from_numpy(step.temperature).equal(plain.temperature)
    assert torch.from_numpy(step.top_p).equal(plain.top_p)
    assert step.top_k.tolist() == plain.top_k.tolist()


def test_slots_of_requests_that_left_are_used_again_and_tables_follow() -> None:
    """Many more requests than slots pass by; a preempted one comes back on other blocks."""
    steps = builder()
    for number in range(50):
        request = request_of(number, 20)
        step = filled(steps.decode([Chunk(request, 1, 19)], {}, rows(1)))
        assert step.block_table[0].tolist() == request.block_ids
        request.preemptions += 1
        request.block_ids = [7] * WIDTH
        step = filled(steps.decode([Chunk(request, 1, 19)], {}, rows(1)))
        assert step.block_table[0].tolist() == [7] * WIDTH
        request.status = Status.FINISHED


def test_a_table_grows_with_its_sequence() -> None:
    steps, request = builder(), request_of(1, 20)
    request.block_ids = [5, 6]
    filled(steps.decode([Chunk(request, 1, 19)], {}, rows(1)))
    request.block_ids.append(9)
    step = filled(steps.decode([Chunk(request, 1, 19)], {}, rows(1)))
    assert step.block_table[0, :3].tolist() == [5, 6, 9]


@given(
    rows=st.integers(1, 60),
    prefills=st.integers(0, 5),
    decode=st.integers(0, 9),
    sampled=st.integers(0, 9),
    width=st.integers(1, 9),
    tiles=st.integers(0, 7),
    key_tiles=st.integers(0, 7),
)
@settings(max_examples=60, deadline=None)
def test_host_and_device_see_the_same_fields(
    rows: int, prefills: int, decode: int, sampled: int, width: int, tiles: int, key_tiles: int
) -> None:
    layout = StepLayout(rows, decode + prefills, decode, sampled, width, tiles, key_tiles)
    words = np.arange(layout.words, dtype=np.int32)
    host, device = HostStep.over(words, layout), DeviceStep.over(torch.from_numpy(words), layout)
    for name in layout.spans():
        ours, theirs = getattr(host, name), getattr(device, name)
        assert ours.tobytes() == theirs.contiguous().numpy().tobytes(), name
    spans = list(layout.spans().values())
    assert [span.start for span in spans[1:]] == [span.stop for span in spans[:-1]]
