"""Each package imports only from the floors above its own (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Ground floor first. Names on one line are neighbours: they must not import each other unless ALLOWED says so.
FLOORS = [
    ["raydet_ops", "raydet.ops", "raydet.lazy"],
    ["raydet.config", "raydet.registry"],
    ["raydet.structures"],
    ["raydet.geometry"],
    ["raydet.layers"],
    ["raydet.losses", "raydet.assignment"],
    ["raydet.backbones", "raydet.necks", "raydet.heads"],
    ["raydet.detectors"],
    ["raydet.models"],
    ["raydet.transforms", "raydet.datasets"],
    ["raydet.evaluation"],
    ["raydet.checkpoint"],
    ["raydet.engine"],
    ["raydet.distributed"],
    ["raydet.search"],
    ["raydet.serving", "raydet.export", "raydet.visualization", "raydet.analysis"],
    ["raydet.cli"],
]
ALLOWED = {
    ("raydet.ops", "raydet_ops"),  # the public names once more
    ("raydet.config", "raydet.registry"),  # checking a config needs the names
    ("raydet.datasets", "raydet.transforms"),
    ("raydet.analysis", "raydet.visualization"),
}
LIGHT = {"raydet", "raydet.config", "raydet.registry", "raydet.cli"}
HEAVY = {"torch", "torchvision", "ray", "cv2", "pandas", "pyarrow", "pycocotools", "optuna", "matplotlib"}
RAY_USERS = {"raydet.distributed", "raydet.search", "raydet.serving", "raydet.cli"}

LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}


def package_of(module: str) -> str:
    """`raydet.heads.dense.rpn` -> `raydet.heads`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "raydet" else parts[0]


def modules() -> Iterator[tuple[str, Path]]:
    for root, base in ((ROOT / "raydet", ROOT), (ROOT / "ops" / "raydet_ops", ROOT / "ops")):
        for path in sorted(root.rglob("*.py")):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports_of(path: Path) -> Iterator[tuple[str, int, bool]]:
    """(module, line, at module level) of every import statement outside `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert all(alias.name != "*" for alias in node.names), f"{path}:{node.lineno}: star import"
            if node.module == "raydet":
                yield from ((f"raydet.{alias.name}", node.lineno, id(node) in top) for alias in node.names)
            else:
                yield node.module or "", node.lineno, id(node) in top


ALL = [pytest.param(name, path, id=name) for name, path in modules()]


@pytest.mark.parametrize(("name", "path"), ALL)
def test_module_imports_only_from_floors_above(name: str, path: Path) -> None:
    own = package_of(name)
    if own == "raydet":
        return
    assert own in LEVEL, f"{name} stands on no floor: add its package to FLOORS and docs/architecture.md"
    wrong = []
    for module, line, _ in imports_of(path):
        other = package_of(module)
        if other == own or other not in LEVEL or (own, other) in ALLOWED:
            continue
        if LEVEL[other] >= LEVEL[own]:
            wrong.append(f"{path}:{line}: {own} must not import {other}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("name", "path"), ALL)
def test_light_module_imports_nothing_heavy_at_module_level(name: str, path: Path) -> None:
    if package_of(name) not in LIGHT and name != "raydet":
        return
    wrong = [
        f"{path}:{line}: {module}"
        for module, line, is_top in imports_of(path)
        if is_top and module.split(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("name", "path"), ALL)
def test_only_the_platform_packages_import_ray(name: str, path: Path) -> None:
    if package_of(name) in RAY_USERS:
        return
    wrong = [f"{path}:{line}" for module, line, _ in imports_of(path) if module.split(".")[0] == "ray"]
    assert not wrong, "\n".join(wrong)
