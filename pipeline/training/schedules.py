"""How long a training runs and how its learning rate falls."""

import math

from pipeline.params import LengthParams


def count_steps(params: LengthParams, *, images: int, batch_size: int) -> int:
    """Return the number of optimizer steps.

    Args:
        params: epochs or steps.
        images: in the set that defines an epoch (labeled in round 0, unlabeled for a student: Sec. 4.1).
        batch_size: images of that set per step; the last batch of the last epoch wraps around.
    """
    if params.steps is not None:
        return params.steps
    assert params.epochs is not None, "LengthParams: one of the two is set"
    return math.ceil(params.epochs * images / batch_size)


def poly_factor(step: int, steps: int, *, power: float, rounds_before: int = 0) -> float:
    """Return the factor on the learning rate at one step: (1 - progress) ** power.

    Args:
        step: 0 .. steps - 1.
        steps: of this training.
        power: exponent.
        rounds_before: 0 starts at 1 (`restart`); k stretches one curve over k earlier rounds and this one, so that round
            1 begins at .536 and round 2 at .372 of the base rate for power .9 (the release's `stretch`).
    """
    progress = (rounds_before + step / steps) / (rounds_before + 1)
    return float((1.0 - progress) ** power)
