"""Parameters of public models, as their authors state them, and those of their `config.json`."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import parse_shape

_SHAPES = tomllib.loads(Path(__file__).with_name("public_shapes.toml").read_text())
_TOLERANCE = {"Grok-1": 0.006}
"""xAI's 314B leaves out the embedding: 314.9B layers and 0.8B embedding."""


def test_the_list_has_sixty_shapes() -> None:
    assert len(_SHAPES) >= 60


@pytest.mark.parametrize("name", _SHAPES)
def test_a_public_model_has_the_published_parameters_or_is_refused(name: str) -> None:
    config: dict[str, Any] = {
        key: None if value == "null" else value for key, value in _SHAPES[name].items()
    }
    published = config.pop("published")
    if published == "refused":
        with pytest.raises(CheckpointError, match=config["architectures"][0]):
            parse_shape(config, name)
        return
    counted = parse_shape(config, name).parameters
    assert counted == pytest.approx(published, rel=_TOLERANCE.get(name, 0.005))
