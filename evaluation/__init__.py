"""Measuring a desk: cases with known answers are asked of the parts that serve turns, and what comes back is counted."""
