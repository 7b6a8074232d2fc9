"""Label Studio's bit packing, against a slow and obvious reading of its description."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.annotations.brush import decode_brush, encode_brush


def spelled_out(packed: list[int]) -> list[int]:
    """Decode by a string of bits."""
    bits = "".join(f"{byte:08b}" for byte in packed)

    def take(count: int) -> int:
        nonlocal bits
        number, bits = int(bits[:count], 2), bits[count:]
        return number

    total, value_bits = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        repeated, size = take(1), sizes[take(2)]
        length = take(size) + 1
        values += length * [take(value_bits)] if repeated else [take(value_bits) for _ in range(length)]
    return values


@given(arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30))))
def test_a_region_comes_back_and_is_what_the_description_says(region: np.ndarray) -> None:
    packed = encode_brush(region)
    assert np.array_equal(decode_brush(packed, region.shape), region)
    assert spelled_out(packed) == np.repeat(region.ravel() * 255, 4).tolist()


@pytest.mark.parametrize("pixels", [2, 3, 4, 5, 64, 65, 16384, 16385, 40000])
def test_runs_of_every_size_come_back(pixels: int) -> None:
    region = np.ones((1, pixels + 1), bool)
    region[0, 0] = False
    assert np.array_equal(decode_brush(encode_brush(region), region.shape), region)


def literal(picture: np.ndarray, lengths: int) -> list[int]:
    """Pack values one after the other, as the brush of a browser does where colors differ, in blocks that fit no byte."""
    flat = picture.ravel().tolist()
    bits = f"{len(flat):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (2, 4, 8, 16))
    for start in range(0, len(flat), lengths):
        block = flat[start : start + lengths]
        bits += f"001{len(block) - 1:04b}" + "".join(f"{value:08b}" for value in block)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


@given(arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(4))), st.integers(1, 16))
def test_colors_do_not_matter_but_opacity_does(picture: np.ndarray, lengths: int) -> None:
    size = (picture.shape[0], picture.shape[1])
    assert np.array_equal(decode_brush(literal(picture, lengths), size), picture[:, :, 3] > 0)


GOOD = encode_brush(np.eye(9, dtype=bool))


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        ([], "expected a whole brush - found one that ends too early"),
        (GOOD[:-4], "expected a whole brush - found one that ends too early"),
        ([*GOOD[:3], 0, *GOOD[4:]], "expected a brush of 324 bytes"),
        ([256], "expected run lengths as bytes"),
        (["a"], "expected run lengths as bytes"),
        ([*GOOD[:7], 0b11111111, 255, 255, 255, 255], "found runs of 65544"),
    ],
)
def test_a_wrong_list_is_one_line(packed: list[int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode_brush(packed, (9, 9))
