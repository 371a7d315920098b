"""Calibrations that are kept: one TOML file in the user's data folder, for all of their GPUs.

`[gpu.<key>]` has the form of the packaged `calibration.toml`; `[measured.<key>]` says on what and
when, in absolute rates, and `[links.<key>.<collective>]` has each collective's own fit.
"""

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...files.atomic import write_file
from ...files.paths import data_dir, locked, owned_folder
from ...files.toml_text import UnreadableTomlError, read_toml
from ...shape.field_errors import FieldError
from ..cost.calibration import Calibration, gpu_constants
from .constants import Measured

SCHEMA_VERSION = 1

Tables = dict[str, dict[str, dict[str, object]]]


@dataclass(frozen=True)
class Saved:
    """The calibrations of this user, by GPU key; `origins` says on what each was made.

    broken: what is wrong with those that cannot be used.
    """

    path: Path
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def origin(self, gpu: str) -> str:
        """Which constants a plan for the GPU type called `gpu` uses, in one line."""
        if gpu in self.calibrations:
            return f"calibrated on {self.origins.get(gpu, 'this machine')}"
        if gpu in self.broken:
            return f"the packaged constants (those kept cannot be used: {self.broken[gpu]})"
        return "the packaged constants (prodtop plan calibrate measures this machine's)"


def calibration_file() -> Path:
    """Where calibrations are kept, whether the file exists or not."""
    return data_dir() / "calibration.toml"


def load_saved(path: Path | None = None) -> Saved:
    """The kept calibrations; none where there is no file. Raises `FieldError` for a broken one.

    What is wrong with the constants of one GPU costs that GPU alone.
    """
    file = calibration_file() if path is None else path
    tables = _read(file)
    found: dict[str, Calibration] = {}
    broken: dict[str, str] = {}
    for key, table in tables.get("gpu", {}).items():
        try:
            found.update(gpu_constants({"gpu": {key: table}}, str(file)))
        except FieldError as error:
            broken[key] = error.reason
    origins = {
        key: f"{table.get('name', 'a GPU')}, {table.get('date', 'no date')}"
        for key, table in tables.get("measured", {}).items()
        if isinstance(table, dict)
    }
    return Saved(path=file, calibrations=found, origins=origins, broken=broken)


def save(
    measured: Measured, key: str, calibration: Calibration | None, path: Path | None = None
) -> Path:
    """Keep a calibration under `key`, beside those of other GPUs; returns the file.

    Raises:
        FieldError: the file that is there cannot be read.
        OSError: it cannot be written.
    """
    file = calibration_file() if path is None else path
    with locked(owned_folder(file.parent)):
        tables = _read(file)
        for section in ("gpu", "measured", "links"):
            tables.setdefault(section, {}).pop(key, None)
        if calibration is not None:
            tables["gpu"][key] = dict(vars(calibration))
        tables["measured"][key] = _facts(measured)
        tables["links"][key] = {
            name: {"latency_s": line.fixed_s, "bytes_s": line.rate, "error": line.error}
            for name, line in measured.links.items()
        }
        write_file(file, _toml(tables).encode())
    return file


def _facts(measured: Measured) -> dict[str, object]:
    facts: dict[str, object] = {
        "name": measured.device.name,
        "date": measured.date,
        "torch": measured.device.torch,
        "ranks": measured.ranks,
        "copy_bytes_s": measured.copy.rate,
        "kernel_s": measured.copy.fixed_s,
    }
    for dtype, products in measured.products.items():
        facts[f"{dtype}_flops_s"] = products.flops_s
    if measured.ring is not None:
        facts["link_bytes_s"] = measured.ring.rate
        facts["link_latency_s"] = measured.ring.fixed_s
    return facts


def _read(file: Path) -> Tables:
    try:
        tables = read_toml(file)
    except FileNotFoundError:
        return {}
    except UnreadableTomlError as error:
        raise FieldError(
            "calibration", f"{file}: cannot be read: {error}; calibrate again after deleting it"
        ) from error
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def _toml(tables: Tables) -> str:
    """Tables of tables of plain values, or of one more level of tables, as TOML."""
    lines = [f"schema_version = {SCHEMA_VERSION}"]
    for section, entries in tables.items():
        for key, values in entries.items():
            if isinstance(values, dict):
                lines += _table(f"{section}.{_key(key)}", values)
    return "\n".join(lines) + "\n"


def _table(name: str, values: Mapping[str, object]) -> list[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    if lines:
        lines = ["", f"[{name}]", *lines]
    for key, inner in values.items():
        if isinstance(inner, dict):
            lines += _table(f"{name}.{_key(key)}", inner)
    return lines


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _value(value: object) -> str:
    if isinstance(value, str):
        # JSON's strings are TOML's basic strings.
        return json.dumps(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
