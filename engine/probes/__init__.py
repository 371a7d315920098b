"""What NVML and the host tell, read by a process of its own."""
