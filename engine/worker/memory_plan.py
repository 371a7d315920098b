"""All that an engine will take of host and device, checked together before any of it is allocated.

Figures are a little less than what is then taken: a model is refused only where it cannot fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..model.memory_need import Part, gib, shortage, total_bytes
from ..model.weight_memory import HOST, MASTER_DTYPE, master_device, packed_bytes, stored_bytes
from ..precision.levels import base_dtype, default_precision, unavailable_reason
from ..probes.memory_limits import MemoryLimit, least
from ..protocol import PrecisionName
from ..protocol.errors import BadInputError
from ..protocol.options import WorkerOptions
from ..serving.kv_cache import BLOCK_TOKENS, block_bytes
from ..shape.model_shape import ModelShape
from .sizing import WORKSPACE_BYTES, context_tokens, gathered_bytes, token_budget


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be served, on which device, and where its master copies stay."""

    options: WorkerOptions
    config: ModelShape
    precision: PrecisionName
    device: torch.device
    draft: ModelShape | None = None
    master_dtype: torch.dtype = MASTER_DTYPE
    master_on: torch.device = HOST
    draft_master_on: torch.device = HOST

    @property
    def sequence_bytes(self) -> int:
        """The KV cache of one sequence, with that of the draft model."""
        blocks = -(-context_tokens(self.options, self.config) // BLOCK_TOKENS)
        fp8 = self.options.kv_format == "fp8"
        dtype = torch.float8_e4m3fn if fp8 else base_dtype(self.precision)
        own = block_bytes(self.config, dtype)
        if self.draft is not None:
            own += block_bytes(self.draft, base_dtype(default_precision(self.device)))
        return blocks * own

    @property
    def kv_bytes(self) -> int:
        """The KV cache that was asked for; without a wish one sequence, less than which is none."""
        asked = self.options.kv_gib
        return self.sequence_bytes if asked is None else int(asked * 2**30)


def wish(
    options: WorkerOptions,
    config: ModelShape,
    precision: PrecisionName,
    device: torch.device,
    draft: ModelShape | None,
    master_dtype: torch.dtype = MASTER_DTYPE,
) -> Wish:
    """A wish with the homes that master copies take on `device`."""
    home = master_device(config, master_dtype, device)
    draft_home = HOST if draft is None else master_device(draft, MASTER_DTYPE, device)
    return Wish(options, config, precision, device, draft, master_dtype, home, draft_home)


def check_fits(
    name: str, wish: Wish, host: Sequence[MemoryLimit], device: Sequence[MemoryLimit]
) -> None:
    """Raise `BadInputError` where host or device has no room for all parts of `wish` together.

    `host` and `device` are the limits of the two; on a CPU the second are not looked at.
    """
    reason = _reason(wish, host, device)
    if reason is not None:
        raise BadInputError(f"{name} {reason}: {_advice(wish, host, device)}")


def _reason(wish: Wish, host: Sequence[MemoryLimit], device: Sequence[MemoryLimit]) -> str | None:
    reason = shortage(host_parts(wish), host)
    if reason is None and wish.device.type != "cpu":
        reason = shortage(device_parts(wish), device)
    return reason


def host_parts(wish: Wish) -> list[Part]:
    """What the host's memory will hold: on a CPU everything, else master copies that stay there."""
    masters = _masters(wish, HOST)
    return [*_served(wish), *masters] if wish.device.type == "cpu" else masters


def device_parts(wish: Wish) -> list[Part]:
    """What a GPU's memory will hold."""
    return [*_served(wish), *_masters(wish, wish.device)]


def _served(wish: Wish) -> list[Part]:
    parts = [Part(f"{wish.precision} weights", _weights_bytes(wish))]
    if wish.draft is not None:
        own = default_precision(wish.device)
        parts.append(Part("draft model", packed_bytes(wish.draft, own)))
    return [*parts, Part("KV cache", wish.kv_bytes), Part("workspace", _workspace_bytes(wish))]


def _weights_bytes(wish: Wish) -> float:
    """Without those layers that are the master copy itself, on its device and in its dtype."""
    own = wish.precision in (PrecisionName.FP32, PrecisionName.BF16, PrecisionName.FP16)
    same = own and base_dtype(wish.precision) is wish.master_dtype
    shared = wish.device.type != "cpu" and wish.master_on == wish.device
    dense = wish.config.stored.int4 is None
    return 0 if shared and same and dense else packed_bytes(wish.config, wish.precision)


def _masters(wish: Wish, home: torch.device) -> list[Part]:
    parts = []
    if wish.master_on == home:
        parts.append(Part("master copy", stored_bytes(wish.config, wish.master_dtype)))
    if wish.draft is not None and wish.draft_master_on == home:
        parts.append(Part("draft's master copy", stored_bytes(wish.draft)))
    return parts


def _workspace_bytes(wish: Wish) -> int:
    """On a CPU the activations of the largest step, and fp32 logits of all sequences.

    On a GPU a fixed part, and what the keys of long prompts are gathered in.
    """
    if wish.device.type != "cpu":
        return WORKSPACE_BYTES + gathered_bytes(wish.options, wish.config, wish.device, wish.draft)
    config, itemsize = wish.config, base_dtype(wish.precision).itemsize
    rows = token_budget(wish.options, wish.device)
    widths = 2 * config.hidden + config.qkv_rows + config.gate_up_rows
    return rows * widths * itemsize + wish.options.max_seqs * config.vocabulary * 4


def _advice(wish: Wish, host: Sequence[MemoryLimit], device: Sequence[MemoryLimit]) -> str:
    """What to change so that it fits, the least change first."""
    ways = []
    most = _most_kv_bytes(wish, host, device)
    if wish.options.kv_gib is not None and most is not None and most >= wish.sequence_bytes:
        ways.append(f"lower --kv-gib to at most {int(most / 2**30 * 100) / 100:g}")
    for precision in PrecisionName:
        narrower = replace(wish, precision=precision)
        less = total_bytes(_served(narrower)) < total_bytes(_served(wish))
        possible = unavailable_reason(precision, wish.device) is None
        if less and possible and _reason(narrower, host, device) is None:
            ways.append(f"choose --precision {precision}")
            break
    if ways:
        return " or ".join(ways)
    if most is not None and most > 0 and wish.options.kv_gib is None:
        return f"allow a shorter context (--context-tokens), {gib(most)} are left for it"
    return "choose a smaller model, or free memory"


def _most_kv_bytes(
    wish: Wish, host: Sequence[MemoryLimit], device: Sequence[MemoryLimit]
) -> float | None:
    """What the other parts leave for the KV cache."""
    on_host = wish.device.type == "cpu"
    limit = least(host if on_host else device)
    parts = host_parts(wish) if on_host else device_parts(wish)
    return None if limit is None else limit.left_bytes - total_bytes(parts) + wish.kv_bytes
