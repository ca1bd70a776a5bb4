"""Every line of the catalogue resolves, and its arguments are those of the 2.x class of the same name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raydet.registry import ALL_REGISTRIES, Registry, accepted_arguments

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "registry.json"
ENTRIES = [
    pytest.param(registry, name, id=f"{key}-{name}")
    for key, registry in {id(r): (k, r) for k, r in ALL_REGISTRIES.items()}.values()
    for name in registry
]
# Arguments that the reference takes and raydet gives no meaning to, with the reason.
WITHOUT_MEANING: dict[str, set[str]] = {}


def reference_arguments(name: str) -> dict[str, str] | None:
    table = json.loads(REFERENCE.read_text())
    for group in table.values():
        if name in group:
            return dict(group[name]["init"])
    return None


@pytest.mark.parametrize(("registry", "name"), ENTRIES)
def test_catalogue_entry_resolves_to_a_callable(registry: Registry, name: str) -> None:
    assert callable(registry.get(name))


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference table is not part of the repository")
@pytest.mark.parametrize(("registry", "name"), ENTRIES)
def test_constructor_takes_the_arguments_of_2x(registry: Registry, name: str) -> None:
    expected = reference_arguments(name)
    member = registry.get(name)
    if expected is None or member is None or member.__module__.split(".")[0] not in ("raydet", "raydet_ops"):
        return
    accepted, open_ended = accepted_arguments(member)
    missing = [key for key in expected if not key.startswith("*") and key not in accepted]
    missing = [key for key in missing if key not in WITHOUT_MEANING.get(name, set())]
    assert not missing or open_ended, f"{name} lacks the arguments {missing}"


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference table is not part of the repository")
@pytest.mark.parametrize(("registry", "name"), ENTRIES)
def test_constructor_has_the_defaults_of_2x(registry: Registry, name: str) -> None:
    expected = reference_arguments(name)
    member = registry.get(name)
    if expected is None or member is None or member.__module__.split(".")[0] not in ("raydet", "raydet_ops"):
        return
    accepted, _ = accepted_arguments(member)
    wrong = {
        key: (parameter.default, expected[key])
        for key, parameter in accepted.items()
        if isinstance(parameter.default, (bool, int, float, str))
        and expected.get(key, "<required>") not in ("<required>", repr(parameter.default))
        and not _same_number(expected[key], parameter.default)
    }
    assert not wrong, f"{name}: (ours, 2.x) {wrong}"


def _same_number(text: str, value: object) -> bool:
    try:
        return float(text) == value
    except ValueError:
        return False


@pytest.fixture
def registry() -> Registry:
    return Registry("fruit", {"Fraction": "fractions:Fraction"})


def test_register_module_works_with_and_without_parentheses(registry: Registry) -> None:
    @registry.register_module
    class Apple:
        pass

    @registry.register_module(name=["Pear", "Birne"])
    class AnyPear:
        pass

    assert registry.get("Apple") is Apple
    assert registry.get("Pear") is registry.get("Birne") is AnyPear


def test_register_module_refuses_a_taken_name_unless_forced(registry: Registry) -> None:
    registry.register_module(module=dict, name="Fig")
    with pytest.raises(KeyError, match="already registered"):
        registry.register_module(module=list, name="Fig")
    registry.register_module(module=list, name="Fig", force=True)
    assert registry.get("Fig") is list


def test_build_names_the_nearest_type_and_argument(registry: Registry) -> None:
    with pytest.raises(KeyError, match="did you mean 'Fraction'"):
        registry.build({"type": "Fracton"})

    @registry.register_module
    class Plum:
        def __init__(self, size: int, colour: str = "blue") -> None:
            self.size = size

    with pytest.raises(TypeError, match=r"no argument 'color'; did you mean 'colour'.*needs the argument 'size'"):
        registry.build({"type": "Plum", "color": "red"})


def test_arguments_that_are_handed_on_are_those_of_the_base_unless_it_is_said(registry: Registry) -> None:
    class Tree:
        def __init__(self, height: int = 1) -> None:
            self.height = height

    @registry.register_module
    class Oak(Tree):
        def __init__(self, **kwargs: int) -> None:
            super().__init__(**kwargs)

    @registry.register_module
    class Ash(Tree):
        takes_any_argument = True

        def __init__(self, **kwargs: int) -> None:
            super().__init__()
            self.rest = kwargs

    assert registry.build({"type": "Oak", "height": 3}).height == 3
    with pytest.raises(TypeError, match="Oak has no argument 'age'"):
        registry.build({"type": "Oak", "age": 3})
    assert registry.build({"type": "Ash", "age": 3}).rest == {"age": 3}


def test_build_passes_a_built_part_through(registry: Registry) -> None:
    part = object()
    assert registry.build(part) is part


def test_build_leaves_the_config_untouched(registry: Registry) -> None:
    cfg = {"type": "Fraction", "numerator": 1, "denominator": 2}
    assert str(registry.build(cfg)) == "1/2"
    assert cfg["type"] == "Fraction"
