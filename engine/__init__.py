"""The engine: what serves, measures, plans and keeps records. Knows no screen."""
