"""Tokenizers, chat templates, text that streams, and the cleaning of foreign text."""
