import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.suggestions.series import Series
from tests import reference

NAMES = st.lists(
    st.one_of(st.text("ab_-19 ", min_size=1, max_size=6), st.sampled_from(("a_1", "a_02", "a_3", "a3", "b-1", "7"))),
    min_size=1, max_size=12, unique=True,
)  # fmt: skip


@given(NAMES, st.integers(0, 3))
def test_neighbors_are_those_that_a_walk_through_all_names_finds(image_ids: list[str], apart: int) -> None:
    series = Series(image_ids)
    for index, image_id in enumerate(image_ids):
        found = sorted(image_ids[other] for other in series.neighbors(index, apart=apart))
        assert found == sorted(other for other in image_ids if reference.are_neighbors(image_id, other, image_ids, apart=apart))


@pytest.mark.parametrize(
    ("image_ids", "together"),
    [
        (["0001TP_006690", "0001TP_006720", "0006R0_f00930"], {0, 1}),
        (["aachen_000000_000019", "aachen_000001_000019"], {0}),
        (["park", "park_1"], {0}),
        (["north_park 9", "north_park 10", "south_park 10"], {0, 1}),
        (["12", "3"], {0, 1}),
    ],
)
def test_the_series_is_the_text_before_the_last_separator_and_number(image_ids: list[str], together: set[int]) -> None:
    assert set(Series(image_ids).neighbors(0, apart=9)) == together


def test_numbers_order_a_series_and_not_their_digits() -> None:
    assert Series(["f10", "f9", "f8", "f100"]).neighbors(0, apart=1) == [1, 0, 3]
