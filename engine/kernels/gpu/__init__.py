"""The kernels of the CUDA path, in Triton. Nothing that a machine without CUDA runs imports them."""
