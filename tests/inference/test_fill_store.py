"""Images on disk, a network, a store: what lies in it is what the network says of each image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.inference.fill_store import begin_store, fill_store
from pipeline.inference.predictor import Predictor
from pipeline.inference.quantize import predict_rounded
from pipeline.params import read_params
from pipeline.samples.images import read_image
from pipeline.samples.sample_lists import Sample
from pipeline.softmax_store.reader import SoftmaxStore
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from tests.inference.test_predictor import predictor
from tests.workspace import ROOT

PARAMS = read_params(ROOT / "params.yaml")


def write_samples(folder: Path) -> list[Sample]:
    samples = [Sample(f"image_{index}", 20 + index, 30, folder / f"{index}.png", "") for index in range(5)]
    for index, sample in enumerate(samples):
        picture = np.random.default_rng(index).integers(0, 255, (*sample.size, 3), dtype=np.uint8)
        Image.fromarray(picture).save(sample.image)
    return samples


def begin(folder: Path, samples: list[Sample], dtype: str) -> tuple[SoftmaxStoreWriter, Predictor]:
    params = PARAMS.softmax_store.model_copy(update={"dtype": dtype, "floor": 1e-3, "shard_mib": 1e-3})
    writer = begin_store(
        folder, samples, ("a", "b", "c", "d"), params, attributes={}, process=0, base_url=None
    )  # fmt: skip
    return writer, predictor()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_filled_store_holds_the_rounded_predictions(tmp_path: Path, dtype: str, workers: int) -> None:
    samples = write_samples(tmp_path)
    params = PARAMS.softmax_store.model_copy(update={"dtype": dtype, "floor": 1e-3})
    writer, teacher = begin(tmp_path, samples, dtype)
    assert len(writer.shards) > 1
    done = fill_store(writer, teacher, samples, params, shards=writer.pending, workers=workers)
    assert list(done) == list(range(len(writer.shards)))
    store = SoftmaxStore(writer.path)
    for index, sample in enumerate(samples):
        expected = predict_rounded(read_image(sample.image), predictor=teacher, floor=1e-3, dtype=dtype)
        assert expected.dtype == dtype
        np.testing.assert_array_equal(store.softmax(index), expected)


def test_a_map_that_is_no_softmax_map_is_refused_by_the_name_of_its_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = write_samples(tmp_path)
    writer, teacher = begin(tmp_path, samples, "float16")
    monkeypatch.setattr(teacher, "predict", lambda prepared: torch.full((4, *prepared.size), torch.nan))
    with pytest.raises(ValueError, match=r"^image_0 - softmax map - expected finite probabilities"):
        list(fill_store(writer, teacher, samples, PARAMS.softmax_store, shards=writer.pending, workers=2))
    assert writer.done == set()
