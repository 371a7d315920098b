"""The kernels of the CUDA path, in Triton. Nothing that runs without CUDA imports them."""
