"""Tiles that cut rows evenly."""

import pytest
from prodtop.engine.kernels.linear.cublas_tiles import even_tiles


@pytest.mark.parametrize("rows", range(33, 257))
def test_each_number_of_rows_has_some_and_none_twice(rows: int) -> None:
    tiles = list(even_tiles(rows))
    assert tiles
    assert len(set(tiles)) == len(tiles)


def test_a_half_and_a_third_of_the_rows_are_rounded_up_to_eights() -> None:
    # cublasLtMatmulTile_t: 64 x 72, 128 x 72, 64 x 48, 128 x 48.
    assert {config.tile for config in even_tiles(144)} == {317, 399, 315, 397}
    assert {config.tile for config in even_tiles(137)} == {317, 399, 315, 397}
