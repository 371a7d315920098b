"""The process that owns the device: it loads, schedules, computes and measures."""
