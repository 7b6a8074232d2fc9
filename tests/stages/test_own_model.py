"""A large teacher and a small student: a round that names a network begins with weights of its own."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.models.checkpoints import read_model
from tests.workspace import TINY, dvc, make_workspace, stages_run

CHANGES: dict[str, Any] = dict(TINY) | {
    "model.network": "deeplabv3plus",
    "model.backbone": "tf_efficientnet_lite0",
    "model.output_stride": 32,
    "model.weights": "imagenet",
    "rounds.1.model": {"network": "pspnet", "backbone": "tiny", "output_stride": 4, "weights": "none"},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_workspace(tmp_path_factory.mktemp("own") / "clone", CHANGES)
    done = dvc(folder, "repro", "evaluate@2")
    assert "starts from pretrained weights; their licence: Apache-2.0" in done.stderr
    return folder


def test_the_student_has_its_own_network_and_the_next_round_goes_on_with_it(finished: Path) -> None:
    teacher, student, last = (read_model(finished / f"data/rounds/{key}/model.safetensors") for key in "012")
    assert teacher.model_params.backbone == "tf_efficientnet_lite0"
    assert student.model_params.backbone == last.model_params.backbone == "tiny"
    assert (teacher.network.backbone.licence, student.network.backbone.licence) == ("Apache-2.0", None)
    assert teacher.network.backbone.normalization != student.network.backbone.normalization
    before, after = student.network.state_dict(), last.network.state_dict()
    assert before.keys() == after.keys()
    assert not all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_another_student_leaves_the_teacher_and_its_labels_as_they_are(finished: Path) -> None:
    done = dvc(finished, "exp", "run", "evaluate@1", "-S", "rounds.1.model.output_stride=8")
    assert stages_run(done) == ["train_student@1", "evaluate@1"]
    assert read_model(finished / "data/rounds/1/model.safetensors").model_params.output_stride == 8


def test_a_network_of_a_round_can_be_given_on_the_command_line(finished: Path) -> None:
    model = "{network: linear, backbone: tiny, output_stride: 8, weights: none}"
    dvc(finished, "exp", "run", "train_student@1", "-S", f"rounds.1.model={model}")
    student = read_model(finished / "data/rounds/1/model.safetensors").model_params
    assert (student.network, student.output_stride) == ("linear", 8)
