"""Proves that turns lose nothing when workers die and connections break: see `python -m soak --help`."""
