"""Lines of inked text and charts as characters, without a widget."""
