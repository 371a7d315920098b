"""Guards of text and load in front of the engine: no torch, no sockets, off the GPU's path."""
