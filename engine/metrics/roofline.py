"""How far the engine is from the hardware's limits: formulas only, no measuring.

The ceilings are measured on the device itself: its copy bandwidth (read plus write) and its matmul
peak at the precision that is served. MFU after PaLM (Chowdhery et al., 2022, appendix B): FLOPs
that the model needs, not those that the program spent.
"""

from ..shape.model_shape import ModelShape


def step_flops(shape: ModelShape, *, tokens: int, attended: int, logit_rows: int) -> int:
    """FLOPs that a step needs: two for each multiply-add.

    `tokens` went through the layers. `attended` is the sum over them of the positions that each one
    looked at, itself included; a position costs a dot product and a weighted sum per query head.
    `logit_rows` went through the LM head.
    """
    attention = shape.layers * (shape.query_width + shape.value_width) * attended
    layers = shape.matmul_parameters * tokens
    return 2 * (layers + attention + shape.head_weights * logit_rows)


def attended_positions(start: int, count: int) -> int:
    """Positions looked at by `count` tokens of one sequence that start at position `start`, from 0.

    Causal attention: the token at position p looks at p + 1 positions.
    """
    return count * start + count * (count + 1) // 2


def step_bytes(weight_bytes: int, kv_bytes_per_token: float, context_tokens: int) -> float:
    """Bytes that a step must read: the matmul weights once, and the KV cache of its sequences.

    `weight_bytes` is what the weights occupy at the precision served, without the embedding table,
    of which a step reads only some rows. `context_tokens` is summed over the step's sequences.
    """
    return weight_bytes + kv_bytes_per_token * context_tokens


def fraction_of_ceiling(amount_per_s: float, ceiling_per_s: float | None) -> float | None:
    """MBU from bytes per second, MFU from FLOPs per second; `None` without a measured ceiling."""
    return amount_per_s / ceiling_per_s if ceiling_per_s else None
