"""Production targets: figures over windows, error budgets, burn rates, alerts. Pure: no clock."""
