"""Reading GGUF files: shapes, tokenizers, and weights in their own rounding."""
