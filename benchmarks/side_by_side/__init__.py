"""Three ways to prove that a file was trained on, on the same jobs: `python -m
benchmarks.side_by_side`."""
