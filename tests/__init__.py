"""Tests mirror the tree; what they share is in `standins/` and in each folder's conftest.py."""
