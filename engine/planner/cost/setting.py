"""What an estimate is made for, beside the layout: model, cluster, software and batch."""

from dataclasses import dataclass, field

from ...shape.field_errors import positive
from ...shape.model_shape import ModelShape
from .calibration import Calibration, Constants, Software, default_constants
from .hardware import Cluster


@dataclass(frozen=True, eq=False, kw_only=True)
class Setting:
    """One model on one cluster. Compared and hashed by identity: a setting is a cache key.

    `sequence` is tokens per sequence. `calibration` overrides the GPU type's packaged constants, as
    one measured on the machine does. `frozen` weights get no gradients: adapters of negligible size
    are trained instead (LoRA, Hu et al. 2021); each then takes `frozen_bytes` (nf4: half a byte and
    its scale's share, dequantized for every pass). `trained_share` of the parameters, or of
    adapters beside them, has gradients and optimizer states; a reference model takes
    `reference_bytes` for each weight. `pure`: weights, gradients and moments in bf16 and no master;
    with `in_backward` the optimizer takes each gradient as it comes, and none stays (LOMO, Lv et
    al. 2023). `chunked_loss`: logits are made and left a piece at a time.
    """

    model: ModelShape
    cluster: Cluster
    sequence: int
    software: Software
    constants: Constants = field(default_factory=default_constants)
    calibration: Calibration | None = None
    frozen: bool = False
    frozen_bytes: float = 2.0
    pure: bool = False
    in_backward: bool = False
    chunked_loss: bool = False
    trained_share: float = 1.0
    reference_bytes: float = 0.0

    def __post_init__(self) -> None:
        positive("sequence", self.sequence)

    @property
    def measured(self) -> Calibration:
        """The constants of this GPU."""
        return self.calibration or self.constants.gpu(self.cluster.gpu.key)


def setting(
    model: ModelShape,
    cluster: Cluster,
    sequence: int,
    software: str = "megatron-core",
    constants: Constants | None = None,
) -> Setting:
    """A setting with a framework generation by name; raises `FieldError` for an unknown one."""
    chosen = constants or default_constants()
    return Setting(
        model=model,
        cluster=cluster,
        sequence=sequence,
        software=chosen.profile(software),
        constants=chosen,
    )
