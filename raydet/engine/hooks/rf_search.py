"""Searching the receptive fields of a model while it is trained: RF-Next (arXiv:2206.06637)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from raydet.config import Config
from raydet.engine.hooks.base import Hook
from raydet.engine.parallel import unwrap
from raydet.layers.rf_search import Conv2dRFSearchOp, Rates, is_searchable, set_dilation
from raydet.registry import HOOKS, nearest

MODES = ("search", "fixed_single_branch", "fixed_multi_branch")
KEY = "rf_search"
"""Under this name `meta` of a checkpoint holds the step of the search and the dilations of all branches."""
_DEFAULTS: dict[str, Any] = {
    "step": 0,
    "max_step": 11,
    "search_interval": 1,
    "exp_rate": 0.5,
    "init_alphas": 0.01,
    "mmin": 1,
    "mmax": 24,
    "num_branches": 2,
    "skip_layer": None,
}
_PREFIX = "module."  # 2.x names layers as seen from outside of the data-parallel wrapper


class RFSearchHook(Hook):
    """Searches the dilations of a model's convolutions, or trains with those of an earlier search.

    The model must be prepared by `init_model` before its optimiser is built; `run_training` and `init_detector` see to
    that. A search writes `local_search_config_step*.json` to the work dir, the `rfstructure_file` of the other modes.

    Args:
        mode: "search"; "fixed_single_branch", convolutions with the dilations of the file; or "fixed_multi_branch",
            branches around them whose weights are learned.
        config: `dict(search=dict(...))` with `step` (steps already made), `max_step` (where the search ends),
            `search_interval` (epochs or iterations between steps), `exp_rate` (how far apart branches are, as a share
            of the dilation), `init_alphas` (first weight of each branch), `mmin` and `mmax` (limits of a dilation),
            `num_branches` (2 or 3) and `skip_layer` (parts of the names of layers to leave alone).
        rfstructure_file: json file of a search; "search" begins from it when it is given.
        by_epoch: whether steps count epochs; else iterations.
        verbose: log the dilations after each step.

    Raises:
        ValueError: an impossible setting.
        FileNotFoundError: there is no `rfstructure_file`.
    """

    continues_stage = True

    def __init__(
        self,
        mode: str = "search",
        config: Mapping[str, Any] | None = None,
        rfstructure_file: str | None = None,
        by_epoch: bool = True,
        verbose: bool = True,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"RFSearchHook.mode is {mode!r}, expected one of {', '.join(MODES)}")
        if mode != "search" and rfstructure_file is None:
            raise ValueError(f"RFSearchHook with mode={mode!r} needs rfstructure_file, which a search writes")
        self.mode = mode
        self.search = _checked({**_DEFAULTS, **(config or {}).get("search", {})})
        self.structure = {} if rfstructure_file is None else read_structure(rfstructure_file)
        self.rfstructure_file = rfstructure_file
        self.by_epoch = by_epoch
        self.verbose = verbose
        self.step = int(self.search["step"])

    def init_model(self, model: nn.Module) -> None:
        """Give the convolutions of a bare model the dilations of the file, or branches, as the mode asks for.

        Raises:
            ValueError: the file does not know a layer of the model.
        """
        if self.structure:
            for name, conv in self._convolutions(model):
                if name not in self.structure:
                    raise ValueError(
                        f"{self.rfstructure_file} has no dilation for {name}; it is of another model, or of a search "
                        "with another skip_layer"
                    )
                set_dilation(conv, self.structure[name])
        if self.mode != "fixed_single_branch":
            self._wrap(model)

    def before_run(self, runner: Any) -> None:
        model = unwrap(runner.model)
        if self.mode != "fixed_single_branch" and not searched_layers(model):
            raise ValueError("the model has no branches to search; call RFSearchHook.init_model before its optimizer")
        if runner.resumed is not None:
            restore_rates(model, runner.resumed["meta"])
            self.step = runner.resumed["meta"].get(KEY, {}).get("step", self.step)
        self._note(runner)

    def after_train_epoch(self, runner: Any) -> None:
        if self.by_epoch:
            self._advance(runner)

    def after_train_iter(self, runner: Any) -> None:
        if not self.by_epoch:
            self._advance(runner)

    def _advance(self, runner: Any) -> None:
        if self.mode != "search":
            return
        self.step += 1
        if self.step % self.search["search_interval"] == 0 and self.step < self.search["max_step"]:
            layers = searched_layers(unwrap(runner.model))
            for layer in layers.values():
                layer.estimate_rates()
                layer.expand_rates()
            if runner.rank == 0:
                self._write(layers, runner)
            self._note(runner)
        runner.checkpoint_meta[KEY]["step"] = self.step

    def _write(self, layers: Mapping[str, Conv2dRFSearchOp], runner: Any) -> None:
        structure = {f"{_PREFIX}{name}": list(layer.op_layer.dilation) for name, layer in layers.items()}
        content = {"search": {**self.search, "step": self.step}, "structure": structure}
        path = Path(runner.work_dir, f"local_search_config_step{self.step}.json")
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        runner.logger.info(f"step {self.step} of the search of receptive fields: dilations in {path}")
        if self.verbose:
            runner.logger.info("\n".join(f"  {name}: {layer.dilation_rates}" for name, layer in layers.items()))

    def _note(self, runner: Any) -> None:
        """Let checkpoints say what the branches are."""
        layers = searched_layers(unwrap(runner.model))
        rates = {name: [list(each) for each in layer.dilation_rates] for name, layer in layers.items()}
        runner.checkpoint_meta[KEY] = {"step": self.step, "rates": rates}

    def _convolutions(self, model: nn.Module) -> Iterator[tuple[str, Any]]:
        skipped = self.search["skip_layer"] or ()
        for name, module in model.named_modules(remove_duplicate=False):
            if is_searchable(module) and not any(part in f"{_PREFIX}{name}" for part in skipped):
                yield name, module

    def _wrap(self, model: nn.Module) -> None:
        wrapped: dict[nn.Module, Conv2dRFSearchOp] = {}
        for name, conv in list(self._convolutions(model)):
            parent, _, own = name.rpartition(".")
            if conv not in wrapped:
                wrapped[conv] = Conv2dRFSearchOp(conv, self.search)
            setattr(model.get_submodule(parent), own, wrapped[conv])


def rfnext_init_model(detector: nn.Module, cfg: Config) -> None:
    """Prepare a model for the `RFSearchHook` among the `custom_hooks` of a config, if there is one."""
    hooks = cfg.get("custom_hooks") or ()
    for section in hooks if isinstance(hooks, (list, tuple)) else (hooks,):
        if isinstance(section, Mapping) and section.get("type") in ("RFSearchHook", RFSearchHook):
            HOOKS.build({key: value for key, value in section.items() if key != "priority"}).init_model(detector)


def searched_layers(model: nn.Module) -> dict[str, Conv2dRFSearchOp]:
    """The convolutions of a model that have branches, by name."""
    named = model.named_modules(remove_duplicate=False)
    return {name: module for name, module in named if isinstance(module, Conv2dRFSearchOp)}


def restore_rates(model: nn.Module, meta: Mapping[str, Any]) -> None:
    """Give branches the dilations with which the weights of a checkpoint were saved.

    Args:
        model: with the weights.
        meta: of the checkpoint.
    """
    rates = meta.get(KEY, {}).get("rates", {})
    for name, layer in searched_layers(model).items():
        if name in rates:
            layer.dilation_rates = [(each[0], each[1]) for each in rates[name]]


def read_structure(path: str | Path) -> dict[str, Rates]:
    """Dilations by layer of a json file that a search wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no rfstructure_file {path}; a run with mode='search' writes it")
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))["structure"].items()
        pairs = {name: [rate, rate] if isinstance(rate, int) else rate for name, rate in found}
        return {name.removeprefix(_PREFIX): (int(height), int(width)) for name, (height, width) in pairs.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no result of a search: expected dict(structure=dict(layer=[2, 2]))") from error


def _checked(search: dict[str, Any]) -> dict[str, Any]:
    for key in search:
        if key not in _DEFAULTS:
            raise ValueError(f"RFSearchHook.config.search has no key {key!r}{nearest(key, _DEFAULTS)}")
    rules = {
        "num_branches": (search["num_branches"] in (2, 3), "2 or 3"),
        "search_interval": (search["search_interval"] >= 1, "1 at least"),
        "exp_rate": (0 < search["exp_rate"] < 1, "between 0 and 1"),
        "init_alphas": (search["init_alphas"] > 0, "positive"),
        "mmin": (1 <= search["mmin"] <= search["mmax"], f"between 1 and mmax={search['mmax']}"),
    }
    for key, (holds, expected) in rules.items():
        if not holds:
            raise ValueError(f"RFSearchHook.config.search.{key} must be {expected}, got {search[key]!r}")
    return search
