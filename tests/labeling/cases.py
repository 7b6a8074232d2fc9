"""From softmax maps to labeled images, the way the stages go."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.labeling.class_thresholds import Problem
from pipeline.labeling.pseudo_labels import count_drawable, label_image
from pipeline.labeling.sampling import draw_quotas
from pipeline.labeling.solve import solve_class_thresholds
from pipeline.machine.parallel import map_ordered
from pipeline.samples.catalog import IGNORE_INDEX
from pipeline.selection import Selection
from pipeline.softmax_store.quantized_map import QuantizedMap
from tests import reference
from tests.softmax_store.cases import entry
from tests.strategies import FLOAT16_VALUES, Maps, class_priors, labeling_ratios, softmax_maps

SETTINGS = st.fixed_dictionaries({"equal_pixels": st.booleans(), "thin": st.sampled_from(("all", "ties"))})


def quantized(maps: Maps) -> list[QuantizedMap]:
    return [entry(probs) for probs in maps.probs]


def add_counts(images: Sequence[QuantizedMap]) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.stack([image.counts for image in images]).astype(np.int64).sum(axis=0)
    return total


def solve(
    method: str,
    counts: NDArray[np.int64],
    priors: NDArray[np.float64],
    alpha: float,
    *,
    equal_pixels: bool = False,
    st_confidence: float | None = None,
    thin: str = "all",
) -> Selection:
    problem = Problem(
        counts=counts,
        values=FLOAT16_VALUES[-counts.shape[1] :],
        class_priors=priors,
        labeling_ratio=alpha,
        equal_pixels=equal_pixels,
        st_confidence=st_confidence,
        thin=thin,
    )
    return solve_class_thresholds(method, problem, class_names=[f"class_{index}" for index in range(len(counts))])


def drawable_of(image: QuantizedMap, selection: Selection) -> NDArray[np.int64]:
    return count_drawable(image.counts, FLOAT16_VALUES[-image.counts.shape[1] :], selection)


def label_one(
    image: QuantizedMap, selection: Selection, quota: NDArray[np.int64], *, seed: int = 0, image_id: str = "a"
) -> NDArray[np.uint8]:
    """Label an image and hold what it claims to have given against what it gave."""
    labels, given = label_image(
        image.prediction, image.confidence, selection, drawable_of(image, selection), quota,
        seed=seed, round_key="1", image_id=image_id,
    )  # fmt: skip
    assert given.tolist() == [int((labels == label).sum()) for label in range(len(quota))]
    assert int(given.sum()) == int((labels != IGNORE_INDEX).sum())
    return labels


def label_all(
    images: Sequence[QuantizedMap], image_ids: Sequence[str], selection: Selection, *, seed: int = 0, workers: int = 1
) -> list[NDArray[np.uint8]]:
    drawable = [drawable_of(image, selection) for image in images]
    quotas = draw_quotas(drawable, selection.draws, seed=seed, round_key="1")

    def label(index: int) -> NDArray[np.uint8]:
        return label_one(images[index], selection, quotas[index], seed=seed, image_id=image_ids[index])

    return list(map_ordered(label, range(len(images)), workers=workers))


@st.composite
def solved(draw: st.DrawFn, /, method: str, **fixed: Any) -> tuple[Maps, Selection, reference.Expected]:
    """Maps, what the method makes of them, and what sorting makes of them.

    Left out are ratios and priors at which the last pixel hangs on the rounding of floating-point numbers: two classes with the
    same remainder (`test_class_thresholds` has those for whole shares).
    """
    maps = draw(softmax_maps())
    priors, alpha = draw(class_priors(maps.num_classes)), draw(labeling_ratios())
    choice: dict[str, Any] = {**draw(SETTINGS), **fixed}
    expected = reference.solve(method, maps.by_class(), priors.tolist(), alpha=alpha, **choice)
    shares = [Fraction(q) for q in expected.qualifying] if method == "st" else [Fraction(prior) for prior in priors.tolist()]
    assume(reference.is_decided(sum(expected.targets), shares))
    return maps, solve(method, add_counts(quantized(maps)), priors, alpha, **choice), expected
