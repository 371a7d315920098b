"""The device that the worker owns: its measured ceilings, its files, its allocator."""
