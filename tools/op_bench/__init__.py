"""The cases of `make bench-ops`, one module per family of operators; each has a `cases(device)` function."""
