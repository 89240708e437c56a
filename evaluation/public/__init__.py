"""The public data sets, read from where they are kept; docs/evaluation.md says what they are."""
