"""What kernels of several kinds share."""
