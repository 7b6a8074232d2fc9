import itertools
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.randomness import keyed_generator, seed_of

KEYS: st.SearchStrategy[list[int | str]] = st.lists(
    st.one_of(st.integers(-(10**12), 10**12), st.text(max_size=4), st.sampled_from(("1", "int:1"))), max_size=4
)

PARTS: tuple[int | str, ...] = (0, "quota", "1", 3)


@given(KEYS, KEYS)
def test_keys_that_differ_in_type_place_or_value_have_other_seeds(one: list[int | str], two: list[int | str]) -> None:
    assert (seed_of(*one) == seed_of(*two)) == (one == two)


def test_no_text_can_pass_for_two_parts() -> None:
    assert seed_of("a\x1fint:1") != seed_of("a", 1)
    assert seed_of("a\x1fstr:b", "c") != seed_of("a", "b\x1fstr:c")


def test_a_number_and_its_text_are_told_apart() -> None:
    assert seed_of(1) != seed_of("1")
    assert len({seed_of(*key) for key in itertools.permutations(PARTS)}) == 24


def test_a_seed_has_128_bits() -> None:
    seeds = [seed_of("image", index) for index in range(2000)]
    assert len(set(seeds)) == 2000
    assert max(seeds) < 2**128
    ones = np.array([[seed >> bit & 1 for bit in range(128)] for seed in seeds]).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 0.07


def test_the_same_key_draws_the_same_in_another_process_and_for_ever() -> None:
    program = "from pipeline.randomness import *; print(seed_of(0, 'pixels', '1', 'a', 3), keyed_generator('x').integers(10**9))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert found == [str(seed_of(0, "pixels", "1", "a", 3)), str(keyed_generator("x").integers(10**9))]
    assert found == ["112185635907468228110045477210438967534", "334599034"]


def test_a_generator_does_not_depend_on_what_was_drawn_before() -> None:
    first = keyed_generator(0, "pixels").random(5).tolist()
    keyed_generator(0, "pixels").random(1000)
    assert keyed_generator(0, "pixels").random(5).tolist() == first


def test_neighboring_keys_draw_without_correlation() -> None:
    draws = np.array([keyed_generator(seed, "pixels", "1", "a", 0).random(2000) for seed in range(20)])
    correlations = np.corrcoef(draws)[~np.eye(20, dtype=bool)]
    assert np.abs(correlations).max() < 0.12
