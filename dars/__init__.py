"""The method for other people's programs: a trained network's predictions, and DARS on anybody's softmax maps.

In: a checkpoint and images, or softmax maps and class shares, as numpy arrays. Out: label maps, thresholds, pseudo labels. Never:
a parameter file or a workspace, a second implementation of what `pipeline` does, torch for those who bring softmax maps.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dars.network import Model, load, predict, probabilities
    from dars.pseudo_labels import Selection, labels, thresholds

__all__ = ["Model", "Selection", "labels", "load", "predict", "probabilities", "thresholds"]

_PSEUDO_LABELS = {"Selection", "labels", "thresholds"}


def __getattr__(name: str) -> object:
    """Import what is asked for, so that the command line waits for none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("dars.pseudo_labels" if name in _PSEUDO_LABELS else "dars.network"), name)


def __dir__() -> list[str]:
    return __all__
