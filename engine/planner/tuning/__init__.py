"""Fine-tuning and long runs: what adapters, objectives, failures and spot prices make of a plan."""
