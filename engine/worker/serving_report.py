"""What the worker tells a server of itself: what it serves, and within which limits."""

import time

from ..protocol.errors import CheckpointError
from ..protocol.served import Serving
from ..serving.engine import Engine
from ..serving.kv_cache import BLOCK_TOKENS

_LOADED_AT_WALL_S = time.time()


def serving(engine: Engine) -> Serving:
    """What is served now. Raises `CheckpointError` for a model whose tokenizer is in no file."""
    model, settings = engine.model, engine.settings
    if model.tokenizer_source is None:
        raise CheckpointError(f"{model.name} has no file that a server could read its texts with")
    return Serving(
        model=model.name,
        context_tokens=settings.context_tokens,
        vocabulary=model.config.vocabulary,
        eos_token_ids=sorted(model.config.eos_token_ids),
        tokenizer=model.tokenizer_source,
        strategy=engine.strategy.name,
        precision=engine.precision,
        streams=engine.strategy.stream,
        max_seqs=engine.scheduler.max_seqs,
        kv_tokens=settings.kv_blocks * BLOCK_TOKENS,
        loaded_at_wall_s=_LOADED_AT_WALL_S,
    )
