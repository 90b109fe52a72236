"""Vendors of every kind, honest and not, against verification: `python -m benchmarks.gauntlet`."""
