"""The next token from logits, on the device."""
