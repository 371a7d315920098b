"""Triton kernels: attention, linear layers, sampling, and what they share."""
