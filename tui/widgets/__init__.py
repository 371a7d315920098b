"""What paints: panels, charts, lines, tables."""
