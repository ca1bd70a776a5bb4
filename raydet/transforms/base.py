"""What a transform is: a random draw, and its application."""

from __future__ import annotations

import inspect
from typing import Any

Results = dict[str, Any]
"""The 2.x dict that describes one sample on its way through the pipeline."""


class Transform:
    """One step of a pipeline.

    The draw is apart from its application, so that one draw serves image, boxes, masks and semantic map, and so that a
    draw can be repeated. Draws come from the global `random` and `numpy.random` states, in the order of 2.x.
    """

    def draw(self, results: Results) -> Any:
        """Decide everything that is random, and nothing else; `results` stays as it is."""
        return None

    def apply(self, results: Results, params: Any) -> Results | None:
        """Carry out what was drawn.

        Args:
            results: the sample; changed in place.
            params: what `draw` returned.

        Returns:
            The sample, or None when it became useless (the data set then takes another one).
        """
        raise NotImplementedError

    def __call__(self, results: Results) -> Results | None:
        return self.apply(results, self.draw(results))

    def __repr__(self) -> str:
        names = inspect.signature(type(self).__init__).parameters
        shown = [f"{name}={vars(self)[name]!r}" for name in names if name in vars(self)]
        return f"{type(self).__name__}({', '.join(shown)})"
