"""Adapters to what is outside the process: answer models, search engines, turn logs. Each implements a port."""
