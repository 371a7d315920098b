"""Which layers of a model have attention, a recurrence and an MLP: one kind but in hybrids."""

from .parts import Recurrence


class LayerKinds:
    """How many layers have what; the fields are those of the shape that this is a part of."""

    layers: int
    parallel_blocks: bool
    recurrence: Recurrence | None
    attention_layers: int | None
    mlp_layers: int | None

    @property
    def layers_with_attention(self) -> int:
        """Layers that have attention: all but in a hybrid."""
        return self.layers if self.attention_layers is None else self.attention_layers

    @property
    def layers_with_mlp(self) -> int:
        """Layers that have an MLP, dense or of experts."""
        return self.layers if self.mlp_layers is None else self.mlp_layers

    @property
    def attention_share(self) -> float:
        """The part of the layers that have attention."""
        return self.layers_with_attention / self.layers

    @property
    def recurrent_share(self) -> float:
        """The part of the layers that have a recurrence."""
        return self.recurrence.layers / self.layers if self.recurrence else 0.0

    @property
    def blocks_per_layer(self) -> float:
        """Blocks that follow each other in an average layer: mixers of tokens, and MLPs."""
        if self.parallel_blocks:
            return 1.0
        mixers = self.layers_with_attention + (self.recurrence.layers if self.recurrence else 0)
        return (min(mixers, self.layers) + self.layers_with_mlp) / self.layers

    @property
    def state_elements(self) -> int:
        """Elements that one sequence leaves in all recurrent layers, however long it is."""
        return self.recurrence.layers * self.recurrence.state if self.recurrence else 0
