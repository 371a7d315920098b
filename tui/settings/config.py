"""The user's settings: `config.toml` in the config folder, every field optional."""

import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ...engine.attach.asking.settings import AttachTable
from ...engine.cost.settings import CapacitySettings, CostSettings
from ...engine.files.paths import config_dir
from ...engine.files.toml_text import UnreadableTomlError, read_toml_text
from ...engine.planner.serving_capacity.prices import Price
from ...engine.protocol import (
    BurstSpec,
    LoadSpec,
    PrecisionName,
    RampSpec,
    SloSpec,
    SpeculationSpec,
    StrategyName,
    TraceSpec,
    Window,
)
from ...engine.protocol.bounds import load_violation, speculation_violation
from ...engine.protocol.errors import BadInputError
from ...engine.readiness.settings import ReadinessSettings
from ...engine.server.guards.settings import GuardSettings
from ...engine.targets.settings import TargetSettings
from .keymap import DEFAULT_KEYMAP, Keymap, remap
from .toml_file import MalformedFileError, decode

PricePerHour = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
"""A price that plans can still add up."""
Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
"""A limit that a chart can still be drawn for."""
Limit = Milliseconds | Literal["off"]


class ConfigError(BadInputError):
    """A config file that cannot be used: says which file, which line or field, and why."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the config file."""


class RampTable(RampSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[load] ramp`."""


class BurstTable(BurstSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[load] burst`."""


class TraceTable(TraceSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[load] trace`."""


class LoadTable(LoadSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[load]`: what the load generator does from the start."""

    ramp: RampTable | None = None
    burst: BurstTable | None = None
    trace: TraceTable | None = None

    def spec(self) -> LoadSpec:
        """The load as the engine takes it, with the whole path of a trace."""
        load = msgspec.convert(msgspec.to_builtins(self), LoadSpec)
        if load.trace is None:
            return load
        path = str(Path(load.trace.path).expanduser().absolute())
        return msgspec.structs.replace(load, trace=msgspec.structs.replace(load.trace, path=path))


class SpeculationTable(Table, frozen=True, kw_only=True):
    """`[speculation]`: speculative decoding from the start; absent means none."""

    drafts: int = SpeculationSpec().drafts
    draft_model: str | None = None

    def spec(self) -> SpeculationSpec:
        """Speculative decoding as the engine takes it."""
        return SpeculationSpec(**msgspec.structs.asdict(self))


class SloTable(Table, frozen=True, kw_only=True):
    """`[slo]`: limits in milliseconds; `None` is the engine's own, `off` none at all."""

    ttft_ms: Limit | None = None
    ttfb_ms: Limit | None = None
    tpot_ms: Limit | None = None
    itl_ms: Limit | None = None
    e2e_ms: Limit | None = None
    queue_ms: Limit | None = None

    def spec(self) -> SloSpec:
        """The limits as the engine takes them."""
        given = msgspec.structs.asdict(self).items()
        limits = {field: limit for field, limit in given if limit is not None}
        return SloSpec(
            **{field: None if limit == "off" else limit for field, limit in limits.items()}
        )


class PriceTable(Table, frozen=True, kw_only=True):
    """`[prices.<gpu>]`: what one GPU costs an hour, in place of the packaged price."""

    usd_per_hour: PricePerHour
    date: datetime.date
    source: str = "config.toml"

    def price(self) -> Price:
        """The price as the planner takes it."""
        return Price(**msgspec.structs.asdict(self))


class Config(Table, frozen=True, kw_only=True):
    """All settings. `None` leaves the choice to the program; `guards` are off then, and
    targets measured without alerts."""

    theme: str | None = None
    window: Window = Window.M1
    refresh_hz: Annotated[float, msgspec.Meta(ge=0.5, le=10)] = 4.0
    model: str = "bundled"
    device: str = "auto"
    strategy: StrategyName = StrategyName.HYBRID
    precision: PrecisionName | None = None
    load: LoadTable = LoadTable()
    speculation: SpeculationTable | None = None
    slo: SloTable = SloTable()
    keys: dict[str, str | list[str]] = {}
    prices: dict[str, PriceTable] = {}
    guards: GuardSettings | None = None
    cost: CostSettings = CostSettings()
    capacity: CapacitySettings = CapacitySettings()
    readiness: ReadinessSettings = ReadinessSettings()
    targets: TargetSettings | None = None
    attach: dict[str, AttachTable] = {}

    def keymap(self, source: str) -> Keymap:
        """The keys after `[keys]`. Raises `KeymapError`."""
        return remap(self.keys, source) if self.keys else DEFAULT_KEYMAP


def config_file() -> Path:
    """The config file, whether it exists or not."""
    return config_dir() / "config.toml"


def theme_folder() -> Path:
    """The folder of the user's own themes, whether it exists or not."""
    return config_dir() / "themes"


def load_config(path: Path | None = None) -> Config:
    """Read the config. Without `path` the usual file, which may be missing: then the defaults.

    Raises `ConfigError` if the file is malformed, or if `path` was given and is not there.
    """
    file = config_file() if path is None else path
    try:
        text = read_toml_text(file)
    except FileNotFoundError:
        if path is None:
            return Config()
        raise ConfigError(f"config {file}: no such file") from None
    except UnreadableTomlError as error:
        raise ConfigError(f"config {file}: {error}") from None
    return parse_config(text, str(file))


def parse_config(text: str, source: str) -> Config:
    """Read the text of a config file. Raises `ConfigError` with `source`, line or field."""
    try:
        config = decode(text, Config)
    except MalformedFileError as error:
        raise ConfigError(f"config {source}: {error}") from None
    speculation = None if config.speculation is None else config.speculation.spec()
    for table, violation in (
        ("load", load_violation(config.load)),
        ("speculation", speculation_violation(speculation)),
    ):
        if violation is not None:
            raise ConfigError(f"config {source}: {table}.{violation.field}: {violation.reason}")
    config.keymap(f"config {source}")
    return config
