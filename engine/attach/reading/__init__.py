"""What a server answers, made into frames. Pure."""
