"""Loopback servers that stand in for services outside: real HTTP, scripted behaviour, every request kept."""
