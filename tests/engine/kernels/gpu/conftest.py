"""Kernels run under Triton's interpreter, mended."""

from mended_triton import loop_bounds_of_one_element, rounding_that_carries

__all__ = ["loop_bounds_of_one_element", "rounding_that_carries"]
