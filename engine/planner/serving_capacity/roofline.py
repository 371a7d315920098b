"""The bound of a decode step: bytes and FLOPs of one GPU at the vendor's figures."""

from dataclasses import dataclass

from .memory import latent_weights, state_bytes, token_bytes
from .server import Server
from .storage import cached_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What one GPU must read and compute in a step, and the time at the vendor's figures.

    Read are `streamed` weights of the layers and `head` weights, and of each sequence `cached`
    tokens of `token_bytes`.
    """

    streamed: float
    head: float
    cached: float
    token_bytes: float
    weight_bytes: float
    kv_bytes: float
    flops: float
    memory_s: float
    arithmetic_s: float

    @property
    def step_s(self) -> float:
        """The longer of both (Williams et al. 2009)."""
        return max(self.memory_s, self.arithmetic_s)


def touched_experts(server: Server, rows: float) -> float:
    """Experts of a layer that `rows` tokens meet on average, were they routed evenly."""
    experts = server.model.experts
    if experts is None:
        return 0.0
    missed: float = (1.0 - experts.active / experts.count) ** rows
    return experts.count * (1.0 - missed)


def streamed_weights(server: Server, rows: float) -> float:
    """Weights of one GPU's layers that a step of `rows` tokens reads; the head apart."""
    model = server.model
    whole = latent_weights(model)
    read = float(model.linear_parameters - whole)
    if model.experts is not None:
        idle = model.experts.count - touched_experts(server, rows)
        read -= model.moe_layers * idle * model.expert_weights
    return read / server.gpus + whole


def head_weights(server: Server) -> float:
    """One GPU's part of the output projection."""
    return server.model.head_weights / server.gpus


def decode_roofline(server: Server, batch: int, context: float) -> Roofline:
    """The bound of a decode step of `batch` sequences of `context` tokens each."""
    model, storage = server.model, server.storage
    streamed, head = streamed_weights(server, batch), head_weights(server)
    weights = storage.weight_bytes * streamed + storage.base_bytes * head
    cache = cache_bytes(server, batch, context)
    products = 2.0 * batch * (model.matmul_parameters / server.gpus + head)
    flops = products + attention_flops(server, batch, context)
    return Roofline(
        streamed=streamed,
        head=head,
        cached=cached_tokens(model, context),
        token_bytes=token_bytes(server),
        weight_bytes=weights,
        kv_bytes=cache,
        flops=flops,
        memory_s=(weights + cache) / server.gpu.hbm_bytes_s,
        arithmetic_s=flops / server.gpu.peak_flops(storage.arithmetic),
    )


def attention_flops(server: Server, batch: float, context: float) -> float:
    """Scores and values of one token of each sequence, on one GPU.

    MLA runs them over the latent, with the projections absorbed (DeepSeek-V2, section 2.1.2).
    """
    model = server.model
    width = model.query_width + model.value_width
    if model.latent is not None:
        width = model.heads * (2 * model.latent.kv_rank + model.latent.rope_dim)
    seen = cached_tokens(model, context)
    return 2.0 * batch * model.layers * seen * width / server.gpus


def cache_bytes(server: Server, batch: int, context: float) -> float:
    """Keys and values of `batch` sequences of `context` tokens on one GPU, and recurrent states,
    which are read and written."""
    read = token_bytes(server) * cached_tokens(server.model, context)
    return batch * (read + 2 * state_bytes(server))
