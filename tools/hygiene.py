"""Refuse large files, merge markers, trailing blanks and a missing final newline.

    python tools/hygiene.py FILE ...

Called by pre-commit with the names of the changed files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 300_000
MARKERS = ("<" * 7 + " ", ">" * 7 + " ")
BINARY = {".png", ".jpg", ".jpeg", ".pth", ".gz", ".npz"}
GENERATED = {".json"}


def problems(path: Path) -> Iterator[str]:
    """What is wrong with one file, a sentence each."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        yield f"{path}: {size} bytes, at most {MAX_BYTES}"
    if path.suffix in BINARY | GENERATED:
        return
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield f"{path}:{number}: trailing blanks"
        if line.startswith(MARKERS):
            yield f"{path}:{number}: merge marker"


def main() -> int:
    """Print every problem of the files named on the command line."""
    found = [problem for name in sys.argv[1:] for problem in problems(Path(name))]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
