"""`raydet replay`: repeat the step of a training whose loss was not finite."""

from __future__ import annotations

import argparse

from raydet.cli.options import add_device, resolve_device

EXAMPLES = """examples:
  raydet replay work_dirs/my-run/nonfinite_iter_812_rank_0.pt
  raydet replay work_dirs/my-run/nonfinite_iter_812_rank_0.pt --device cpu

Returns 0 when a loss or a gradient is not finite again, 1 when all are finite now."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="nonfinite_iter_*.pt in the folder of a run")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Print the losses then and now, and the gradients that are not finite."""
    import math

    from raydet.engine.replay import replay

    found = replay(args.file, resolve_device(args.device))
    print(f"iteration {found.iteration}, samples: {', '.join(found.samples) or 'unknown'}")
    for name, value in found.losses.items():
        print(f"  {name}: {value} (in the run: {found.recorded.get(name, 'not logged')})")
    shown = ", ".join(found.gradients[:10]) + (f", ... ({len(found.gradients)})" if len(found.gradients) > 10 else "")
    print(f"gradients that are not finite: {shown or 'none'}")
    again = bool(found.gradients) or not all(math.isfinite(value) for value in found.losses.values())
    print("reproduced" if again else "not reproduced: everything is finite here")
    return 0 if again else 1
