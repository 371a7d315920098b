"""Attention over paged KV blocks: decode, prefill, and the writing of keys and values."""
