"""Calibrators are right at any floor that `params.yaml` takes, and those that a floor would make wrong are refused with it."""

import pytest

from tests.calibration.floors import FLOORS, TEMPERATURE, allowed, measure

SCALING = ("temperature", "vector", "matrix")


@pytest.mark.parametrize("method", SCALING)
def test_scaling_undoes_a_known_temperature_without_a_floor(method: str) -> None:
    found = measure(method, 0.0, side=200)
    assert found.allowed
    assert found.ece_after < 0.007 < found.ece_before / 4
    assert found.ones_after < found.ones_before / 2
    assert found.labeled == pytest.approx(0.2, abs=0.012)
    if found.temperature is not None:
        assert found.temperature == pytest.approx(TEMPERATURE, rel=0.01)


@pytest.mark.parametrize("floor", FLOORS[1:])
@pytest.mark.parametrize("method", SCALING)
def test_scaling_and_a_floor_are_refused_together(method: str, floor: float) -> None:
    assert not allowed(method, floor)


def test_what_is_refused_would_have_raised_confidences() -> None:
    found = measure("temperature", 1e-3, side=200)
    assert found.temperature is not None
    assert found.temperature > 1.1 * TEMPERATURE
    assert found.ones_after > found.ones_before


@pytest.mark.parametrize("method", ["none", "histogram_binning"])
def test_other_calibrators_give_the_same_at_every_floor(method: str) -> None:
    first, *others = (measure(method, floor, side=150) for floor in FLOORS)
    assert first.allowed
    for other in others:
        assert other.allowed
        assert other.ece_after == pytest.approx(first.ece_after, abs=1e-4)
        assert (other.ones_after, other.labeled) == pytest.approx((first.ones_after, first.labeled), abs=1e-4)
