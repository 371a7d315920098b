"""Servers that discovery files name, as Prometheus' file_sd has them."""
