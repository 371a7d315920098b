"""Bytes per GPU while serving: weights, the KV cache and what the engine needs beside them."""

from dataclasses import dataclass

from ...shape.model_shape import ModelShape
from ..cost.memory import COMMUNICATOR_BYTES, CONTEXT_BYTES
from .server import Load, Server
from .storage import cache_copies, cached_tokens

BLOCK_TOKENS = 16
"""Tokens of a KV block, in this engine and in vLLM: a sequence takes whole ones."""
LOGIT_BYTES = 10.0
"""A logit in 2 bytes, its copy in fp32, and its share in sampling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes of one GPU. `sequence` and `logits` are those of one request at full length.

    `weights` are `packed` ones of the layers' matrices and `plain` ones; `sequence` is `cached`
    tokens of `token_bytes`, and the `state` of recurrent layers. `workspace` is the driver's
    context, CUDA graphs, communication buffers and one chunk of prompts, `chunk_width` elements a
    token. `usable` is the GPU's memory less what is left unused.
    """

    weights: float
    packed: float
    plain: float
    sequence: float
    cached: float
    token_bytes: float
    state: float
    logits: float
    workspace: float
    communicator: float
    chunk_width: float
    usable: float

    @property
    def free(self) -> float:
        """What is left for sequences; below 0 where the weights alone do not fit."""
        return self.usable - self.weights - self.workspace

    @property
    def largest_batch(self) -> int:
        """Requests at full length that the memory holds at a time."""
        return max(0, int(self.free // (self.sequence + self.logits)))

    def used(self, batch: int) -> float:
        """Bytes with `batch` requests at full length."""
        return self.weights + self.workspace + batch * (self.sequence + self.logits)


def latent_weights(model: ModelShape) -> int:
    """Weights of MLA's projections into latents, which every tensor-parallel rank holds whole."""
    if model.latent is None:
        return 0
    whole = (k * n for k, n in model.attention_gemms if k == model.hidden and n < model.query_width)
    return model.layers_with_attention * sum(whole)


def gpu_weights(server: Server) -> tuple[float, float]:
    """One GPU's share of all weights: those that quantization packs, and the others."""
    model = server.model
    split = model.linear_parameters - latent_weights(model)
    extra_kv = 0.0
    if model.latent is None:
        copies = cache_copies(model, server.gpus)
        attending = model.layers_with_attention
        extra_kv = (copies - 1) * 2 * attending * model.hidden * model.kv_width
    rest = model.layer_parameters - model.linear_parameters
    tables = model.embedding_parameters + model.head_parameters
    packed = (split + extra_kv) / server.gpus + latent_weights(model)
    return packed, rest + tables / server.gpus


def token_bytes(server: Server) -> float:
    """Bytes of one GPU's share of one token's keys and values, over all layers."""
    model = server.model
    share = cache_copies(model, server.gpus) / server.gpus
    return server.storage.kv_bytes * model.layers * model.kv_cache_width * share


def state_bytes(server: Server) -> float:
    """Bytes of one GPU's share of a sequence's state in recurrent layers, as activations are."""
    return server.storage.base_bytes * server.model.state_elements / server.gpus


def memory(server: Server, load: Load) -> Memory:
    """The memory of one GPU for requests of `load`'s lengths."""
    engine, storage = server.engine, server.storage
    blocks = -(-load.context_tokens // BLOCK_TOKENS)
    cached, each = cached_tokens(server.model, blocks * BLOCK_TOKENS), token_bytes(server)
    (packed, plain), width = gpu_weights(server), chunk_width(server)
    communicator = COMMUNICATOR_BYTES if server.gpus > 1 else 0.0
    chunk = engine.chunk_tokens * width * storage.base_bytes
    return Memory(
        weights=storage.weight_bytes * packed + storage.base_bytes * plain,
        packed=packed,
        plain=plain,
        sequence=each * cached + state_bytes(server),
        cached=cached,
        token_bytes=each,
        state=state_bytes(server),
        logits=LOGIT_BYTES * server.model.vocabulary / server.gpus,
        workspace=CONTEXT_BYTES + engine.graph_bytes + communicator + chunk,
        communicator=communicator,
        chunk_width=width,
        usable=server.gpu.memory_bytes * (1 - engine.reserve_share),
    )


def chunk_width(server: Server) -> float:
    """Elements of a prompt's token at the widest point of a layer.

    It has its residual and its normed copy, and the MLP's two inner rows and their product; under a
    mixture, those of each expert that it goes to.
    """
    model, gpus = server.model, server.gpus
    inner = model.mlp_matrices * model.intermediate / gpus if model.dense_layers else 0.0
    experts = model.experts
    if experts is not None:
        row = model.hidden + model.mlp_matrices * experts.intermediate / gpus
        shared = model.mlp_matrices * experts.shared_intermediate / gpus
        inner = max(inner, experts.active * row + shared)
    attention = (model.query_width + 2 * model.kv_width + model.value_width) / gpus
    return 2.0 * model.hidden + max(inner, attention)
