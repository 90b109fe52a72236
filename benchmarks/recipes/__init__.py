"""Honest vendors with other recipes than the control's: `python -m benchmarks.recipes`."""
