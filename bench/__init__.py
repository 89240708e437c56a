"""What it costs: each module is a measurement of its own."""
