"""Every network as an ONNX file gives what torch gives, at sizes that no stride divides."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.export.agreement import TOLERANCE
from pipeline.export.deployed import MatrixPooling, with_matrix_pooling
from pipeline.export.graph import build_graph
from pipeline.export.images import draw_images
from pipeline.export.onnx_file import write_onnx
from pipeline.export.request import Shape
from pipeline.params import ModelParams
from tests.export.cases import NETWORKS, build, initializers, logits_of, noise_images, run, write_checkpoint

# Odd, even and smaller than a stride; a side of one pixel besides.
SIZES = {"pspnet": (45, 67), "upernet": (70, 41), "deeplabv3plus": (1, 37), "dpt": (45, 67), "fpn": (70, 33)}


def test_every_network_is_among_the_cases() -> None:
    assert {section.network for section in NETWORKS.values()} == set(get_args(ModelParams.model_fields["network"].annotation))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_gives_the_logits_classes_and_confidences_of_torch(name: str, tmp_path: Path) -> None:
    height, width = SIZES.get(name, (33, 50))
    source, out = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    checkpoint, shape = write_checkpoint(source, NETWORKS[name]), Shape(1, height, width)
    agreement = write_onnx(out, checkpoint, shape, draw_images(shape), source=source, logits=True, threads=1)
    assert agreement.images == 3
    assert agreement.difference <= TOLERANCE
    images = noise_images(1, height, width)
    found, expected = run(out.read_bytes(), images), logits_of(checkpoint.network, images)
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(expected).max())))
    assert np.array_equal(found["prediction"], found["logits"].argmax(axis=1))
    probabilities = torch.from_numpy(expected).softmax(dim=1).amax(dim=1)
    np.testing.assert_allclose(found["confidence"], probabilities, atol=1e-4)
    assert found["prediction"].dtype == np.uint8
    assert found["confidence"].dtype == np.float32
    assert not [weight for weight in initializers(out.read_bytes()) if "aux" in weight], "of training alone"


@pytest.mark.parametrize("name", ["pspnet", "upernet", "segformer", "dpt"])
def test_any_number_of_images_gives_what_each_gives_alone(name: str) -> None:
    network = build(NETWORKS[name])
    content = build_graph(network, Shape(None, 33, 50), {}, where="model")
    images = noise_images(5, 33, 50)
    together = run(content, images)
    for count in (1, 2):
        alone = run(content, images[:count])
        np.testing.assert_allclose(alone["logits"], together["logits"][:count], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(together["logits"], logits_of(network, images), rtol=1e-4, atol=1e-4 * 100)
    assert together["prediction"].shape == together["confidence"].shape == (5, 33, 50)


@pytest.mark.parametrize("bins", [1, 2, 3, 6, (2, 5)])
def test_pooling_by_matrices_is_adaptive_pooling_at_every_size(bins: int | tuple[int, int]) -> None:
    pooling = nn.AdaptiveAvgPool2d(bins)
    size = bins if isinstance(bins, tuple) else (bins, bins)
    for height in range(1, 14):
        for width in (1, 5, 6, 17):
            features = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))
            torch.testing.assert_close(MatrixPooling(size)(features), pooling(features), rtol=1e-6, atol=1e-6)


def test_pooling_that_onnx_has_stays() -> None:
    replaced = with_matrix_pooling(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.AdaptiveAvgPool2d((1, 2)))))
    assert [type(module) for module in replaced.modules() if not isinstance(module, nn.Sequential)] == [
        nn.AdaptiveAvgPool2d,
        MatrixPooling,
    ]
