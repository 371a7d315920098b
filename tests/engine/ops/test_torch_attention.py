"""Paged attention against dense softmax attention, sequence by sequence, in float64 numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from prodtop.engine.ops.torch_attention import paged_attention
from prodtop.engine.serving.batch import Batch, BatchBuilder
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS, KVCache
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.step_plan import Chunk
from prodtop.engine.shape.model_shape import ModelShape
from torch import Tensor

CPU = torch.device("cpu")
HEAD_DIM = 8
Array = NDArray[np.float64]


class Scene:
    """Sequences with their keys and values in shuffled KV blocks, and queries for some of them.

    `spans` has `(start, count)` of each sequence's queries; it has seen `start + count` tokens.
    `garbage` is what the slots hold that no sequence has written.
    """

    def __init__(
        self, spans: list[tuple[int, int]], kv_heads: int, shared: int, seed: int, garbage: float
    ) -> None:
        rng = np.random.default_rng(seed)
        self.kv_heads, self.heads = kv_heads, kv_heads * shared
        needed = [-(-(start + count) // BLOCK_TOKENS) for start, count in spans]
        total = sum(needed) + 3
        free = list(rng.permutation(total))
        shape = (total, BLOCK_TOKENS, 2, kv_heads, HEAD_DIM)
        self.kv = torch.full(shape, garbage, dtype=torch.float64)
        self.sequences: list[Array] = []
        chunks = []
        for number, ((start, count), blocks) in enumerate(zip(spans, needed, strict=True)):
            request = Request(number, [1] * (start + count), 1, Sampling(), 0.0)
            request.block_ids = [int(free.pop()) for _ in range(blocks)]
            tokens = rng.standard_normal((start + count, 2, kv_heads, HEAD_DIM))
            for position in range(start + count):
                block = request.block_ids[position // BLOCK_TOKENS]
                self.kv[block, position % BLOCK_TOKENS] = torch.from_numpy(tokens[position])
            self.sequences.append(tokens)
            chunks.append(Chunk(request, count, start))
        self.batch: Batch = BatchBuilder(shared, CPU, torch.float32).build(chunks)
        rows = sum(count for _, count in spans)
        self.queries = rng.standard_normal((rows, self.heads, HEAD_DIM))

    def paged(self) -> Tensor:
        q = torch.from_numpy(self.queries).float()
        return paged_attention(q, self.kv.float(), self.batch.step.groups)

    def dense(self) -> Array:
        """The same, one query and one head at a time."""
        out = np.zeros((len(self.queries), self.heads, HEAD_DIM))
        row = 0
        for chunk in self.batch.chunks:
            keys, values = self.sequences[chunk.request.request_id].transpose(1, 0, 2, 3)
            for position in range(chunk.start, chunk.start + chunk.num_tokens):
                for head in range(self.heads):
                    kv_head = head // (self.heads // self.kv_heads)
                    seen = slice(0, position + 1)
                    scores = keys[seen, kv_head] @ self.queries[row, head] / np.sqrt(HEAD_DIM)
                    weights = np.exp(scores - scores.max())
                    out[row, head] = weights / weights.sum() @ values[seen, kv_head]
                row += 1
        return out.reshape(row, -1)


SPANS = st.lists(
    st.tuples(st.one_of(st.just(0), st.integers(0, 50)), st.one_of(st.just(1), st.integers(1, 24))),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=60)
@given(
    spans=SPANS,
    kv_heads=st.integers(1, 3),
    shared=st.sampled_from([1, 2, 3, 7]),
    seed=st.integers(0, 2**32 - 1),
    garbage=st.sampled_from([0.0, 1e4, -1e4]),
)
def test_paged_attention_is_softmax_attention(
    spans: list[tuple[int, int]], kv_heads: int, shared: int, seed: int, garbage: float
) -> None:
    scene = Scene(spans, kv_heads, shared, seed, garbage)
    np.testing.assert_allclose(scene.paged().numpy(), scene.dense(), atol=2e-5)


@pytest.mark.parametrize("garbage", [1e4, -1e4, 1e30])
def test_what_unused_slots_hold_does_not_matter_while_it_is_finite(garbage: float) -> None:
    """Blocks are reused as their last owner left them."""
    spans = [(0, 5), (0, 20), (33, 1), (2, 1)]
    clean, dirty = Scene(spans, 2, 2, 1, 0.0), Scene(spans, 2, 2, 1, garbage)
    assert torch.equal(clean.paged(), dirty.paged())


def test_a_nan_in_an_unused_slot_would_reach_every_query_of_its_block() -> None:
    """Which is why the cache must start with zeros: masking adds -inf, and NaN - inf is NaN."""
    scene = Scene([(2, 1)], 1, 1, 1, float("nan"))
    assert torch.isnan(scene.paged()).all()


def test_the_cache_starts_with_zeros() -> None:
    config = ModelShape(
        vocabulary=8,
        hidden=16,
        intermediate=16,
        layers=3,
        heads=2,
        kv_heads=1,
        head_dim=HEAD_DIM,
        context_tokens=64,
    )
    cache = KVCache(config, 5, CPU, torch.bfloat16)
    assert len(cache.layers) == 3
    for layer in cache.layers:
        assert layer.shape == (5, BLOCK_TOKENS, 2, 1, HEAD_DIM)
        assert not layer.any()
    assert cache.storage_bytes == 5 * BLOCK_TOKENS * config.kv_elements_per_token * 2


def test_padding_rows_never_leak() -> None:
    """A short chunk beside a long one gets what it gets on its own."""
    together = Scene([(0, 9), (4, 12), (7, 16)], 2, 3, 5, 0.0)
    assert len(together.batch.step.groups) == 1
    assert together.batch.step.groups[0].scatter is not None, "nothing is padded here"
    out = together.paged()
    assert out.shape[0] == 9 + 12 + 16
    row = 0
    for chunk in together.batch.chunks:
        alone = BatchBuilder(3, CPU, torch.float32).build([chunk]).step.groups
        rows = torch.from_numpy(together.queries[row : row + chunk.num_tokens]).float()
        expected = paged_attention(rows, together.kv.float(), alone)
        torch.testing.assert_close(out[row : row + chunk.num_tokens], expected)
        row += chunk.num_tokens


def test_no_query_sees_a_later_token() -> None:
    scene = Scene([(0, 20)], 1, 2, 6, 0.0)
    before = scene.paged()
    last = scene.batch.chunks[0].request.block_ids[1]
    scene.kv[last, 19 % BLOCK_TOKENS] += 100.0
    after = scene.paged()
    assert torch.equal(before[:19], after[:19])
    assert not torch.allclose(before[19], after[19])


@pytest.mark.gpu
@pytest.mark.parametrize("shared", [1, 2, 3, 7])
def test_attention_on_cuda_is_that_of_the_cpu(shared: int) -> None:
    device = torch.device("cuda", 0)
    scene = Scene([(0, 1), (40, 1), (0, 17), (3, 9), (50, 24)], 2, shared, 7, 0.0)
    builder = BatchBuilder(shared, device, torch.float32)
    groups = builder.build(scene.batch.chunks).step.groups
    queries = torch.from_numpy(scene.queries).float().to(device)
    out = paged_attention(queries, scene.kv.float().to(device), groups)
    np.testing.assert_allclose(out.cpu().numpy(), scene.dense(), atol=2e-4)
