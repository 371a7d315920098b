"""Every figure of the engine, from what happened to requests and steps. Pure: no clock."""
