from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from pipeline.curve import Row, write_curve
from pipeline.machine.device_group import single_process
from pipeline.models.build import build_network
from pipeline.models.network import SegmentationNetwork
from pipeline.models.pspnet import PSPNet
from pipeline.params import ModelParams, TrainingParams, read_params
from pipeline.training.batches import Batch
from pipeline.training.loop import Course, train
from tests.workspace import ROOT

PARAMS = read_params(ROOT / "params.yaml")
TRAINING: TrainingParams = PARAMS.training.model_copy(update={"checkpoint_every": 4, "log_every": 2})
MODEL: ModelParams = PARAMS.model.model_copy(update={"head_width": 8, "dropout": 0.5})


def classifier(trained: SegmentationNetwork) -> torch.Tensor:
    assert isinstance(trained, PSPNet)
    weight = trained.head[-1].weight
    assert isinstance(weight, torch.Tensor)
    return weight


def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return build_network(MODEL, 3)


def batches(parts: int, steps: int) -> Callable[[int], Iterator[Batch]]:
    def from_step(first: int) -> Iterator[Batch]:
        for step in range(first, steps):
            generator = torch.Generator().manual_seed(step)
            yield [
                (torch.randn(2, 3, 16, 24, generator=generator), torch.randint(0, 3, (2, 16, 24), generator=generator))
                for _ in range(parts)
            ]

    return from_step


def run(
    folder: Path, *, stop: int | None = None, parts: int = 2, steps: int = 10, params: TrainingParams = TRAINING
) -> tuple[SegmentationNetwork, list[Row]]:
    trained, curve = network(), list[Row]()
    course = Course(steps=steps, seed=3, round_key="1")
    for done in train(
        trained,
        batches(parts, steps),
        course,
        params,
        folder=folder,
        group=single_process(torch.device("cpu")),
        curve=curve,
    ):
        if done == stop:
            break
    return trained, curve


def assert_same(one: SegmentationNetwork, other: SegmentationNetwork) -> None:
    for (name, left), right in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(left, right), name


@pytest.mark.parametrize("stop", [1, 4, 5, 9])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    whole, curve = run(tmp_path / "whole")
    run(tmp_path / "broken", stop=stop)
    resumed, resumed_curve = run(tmp_path / "broken")
    assert_same(whole, resumed)
    assert curve == resumed_curve


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    whole, curve = run(tmp_path)
    again, curve_again = run(tmp_path)
    assert_same(whole, again)
    assert curve == curve_again


def test_the_curve_has_a_row_for_every_window(tmp_path: Path) -> None:
    _, curve = run(tmp_path, steps=9)
    assert [row.step for row in curve] == [2, 4, 6, 8, 9]
    write_curve(tmp_path / "curve.tsv", curve)
    lines = (tmp_path / "curve.tsv").read_text().splitlines()
    assert lines[0] == "step\tloss_labeled\tloss_unlabeled\tlearning_rate"
    assert len(lines) == 6


def test_without_pseudo_labels_the_second_loss_is_zero(tmp_path: Path) -> None:
    _, curve = run(tmp_path, parts=1)
    assert all(row.loss_unlabeled == 0 for row in curve)


def test_a_diverging_training_stops_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected finite losses") as caught:
        run(tmp_path, params=TRAINING.model_copy(update={"learning_rate": 1e30}))
    assert "\n" not in str(caught.value)


def test_a_damaged_resume_point_is_one_line(tmp_path: Path) -> None:
    run(tmp_path, stop=4)
    file = tmp_path / "resume.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="--fresh") as caught:
        run(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_losses_of_both_parts_add_up_with_equal_weight(tmp_path: Path) -> None:
    # One step on the same crops twice moves the weights twice as far as one step on them once (no momentum yet, no decay).
    params = TRAINING.model_copy(update={"weight_decay": 0.0, "momentum": 0.0})
    model = MODEL.model_copy(update={"dropout": 0.0})

    def step(parts: int, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(0)
        trained = build_network(model, 3)
        before = classifier(trained).detach().clone()
        generator = torch.Generator().manual_seed(0)
        crop = (torch.randn(2, 3, 16, 24, generator=generator), torch.randint(0, 3, (2, 16, 24), generator=generator))
        course = Course(steps=1, seed=0, round_key="1")
        list(
            train(
                trained,
                lambda _: iter([[crop] * parts]),
                course,
                params,
                folder=folder,
                group=single_process(torch.device("cpu")),
                curve=[],
            )
        )
        return before, classifier(trained).detach()

    before, once = step(1, tmp_path / "one")
    _, twice = step(2, tmp_path / "two")
    torch.testing.assert_close(twice - before, 2 * (once - before), rtol=1e-4, atol=1e-6)


def test_shorter_types_train_nearly_the_same_and_keep_weights_in_float32(tmp_path: Path) -> None:
    whole, curve = run(tmp_path / "whole", steps=4)
    rounded, rounded_curve = run(tmp_path / "rounded", steps=4, params=TRAINING.model_copy(update={"precision": "bfloat16"}))
    assert all(parameter.dtype == torch.float32 for parameter in rounded.parameters())
    assert rounded_curve[0].loss_labeled == pytest.approx(curve[0].loss_labeled, rel=0.05)
    assert not torch.equal(classifier(whole), classifier(rounded))


def test_a_compiled_network_is_the_one_that_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))  # noqa: PLW0108 - it is bound
    trained = network()
    course = Course(steps=2, seed=3, round_key="1")
    group = single_process(torch.device("cpu"))
    list(train(trained, batches(1, 2), course, TRAINING, folder=tmp_path, group=group, curve=[], compiled=True))
    assert compiled == [trained]
