"""What the screen knows of the engine, without a widget."""
