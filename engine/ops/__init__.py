"""What a decoder asks of a device, in plain torch and in Triton."""
