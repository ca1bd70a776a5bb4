"""`python -m raydet_ops`: what serves each operator on each device."""

from __future__ import annotations

from raydet_ops import LIBRARIES, OPERATORS, serves


def report() -> str:
    """Table of operators, and one line for each library that is missing."""
    rows = [f"{'operator':<36} {'cpu':<6} cuda"]
    rows += [f"{name:<36} {serves(name, 'cpu'):<6} {serves(name, 'cuda')}" for name in OPERATORS]
    rows += [f"{library.device}: {library.path or library.problem}" for library in LIBRARIES]
    return "\n".join(rows)


if __name__ == "__main__":
    print(report())
