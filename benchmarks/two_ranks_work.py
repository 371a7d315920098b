"""What the two ranks train: sizes of the small GPT and of its batch, free of torch."""

from dataclasses import dataclass

from prodtop.engine.shape.model_shape import ModelShape


@dataclass(frozen=True, kw_only=True)
class Work:
    """A model and a batch: `micro_batches` times `micro_batch` sequences of `sequence` tokens."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    vocabulary: int
    sequence: int
    micro_batch: int
    micro_batches: int

    @property
    def shape(self) -> ModelShape:
        """The same for the planner."""
        return ModelShape(
            name="two-ranks",
            layers=self.layers,
            hidden=self.hidden,
            heads=self.heads,
            kv_heads=self.heads,
            head_dim=self.hidden // self.heads,
            intermediate=self.ffn,
            vocabulary=self.vocabulary,
        )


SIZES = {
    "tiny": Work(
        layers=4,
        hidden=128,
        heads=4,
        ffn=384,
        vocabulary=512,
        sequence=64,
        micro_batch=2,
        micro_batches=4,
    ),
    "small": Work(
        layers=16,
        hidden=2048,
        heads=16,
        ffn=5632,
        vocabulary=32_768,
        sequence=2048,
        micro_batch=4,
        micro_batches=8,
    ),
}
