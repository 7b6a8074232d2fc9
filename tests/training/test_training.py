from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.curve import CurveRow, begin_curve, read_curve, write_curve
from pipeline.models.build import build_network
from pipeline.models.checkpoints import read_model
from pipeline.models.network import SegmentationNetwork
from pipeline.models.pspnet import PSPNet
from pipeline.params import ModelParams, RuntimeParams, TrainingParams
from pipeline.training.batches import Batch
from pipeline.training.plan import TrainingPlan
from pipeline.training.training import StepRecord, Training
from tests.training.cases import ALONE, CATALOG, PARAMS, RUNTIME, TRAINING, draw_sets, finish, save, start
from tests.workspace import ROOT

MODEL: ModelParams = PARAMS.model.model_copy(update={"head_width": 8, "dropout": 0.5})
GOLDEN = ROOT / "tests/golden/first_steps.tsv"


def classifier(trained: SegmentationNetwork) -> torch.Tensor:
    assert isinstance(trained, PSPNet)
    weight = trained.head[-1].weight
    assert isinstance(weight, torch.Tensor)
    return weight


def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return build_network(MODEL, 3)


def batches(parts: int, first: int, steps: int) -> Iterator[Batch]:
    for step in range(first, steps):
        generator = torch.Generator().manual_seed(step)
        yield [
            (torch.randn(2, 3, 16, 24, generator=generator), torch.randint(0, 3, (2, 16, 24), generator=generator))
            for _ in range(parts)
        ]


def run(
    folder: Path,
    *,
    stop: int | None = None,
    parts: int = 2,
    steps: int = 10,
    params: TrainingParams = TRAINING,
    runtime: RuntimeParams = RUNTIME,
) -> tuple[SegmentationNetwork, list[CurveRow]]:
    trained = network()
    training = start(trained, folder, steps=steps, params=params, runtime=runtime)
    return trained, finish(training, batches(parts, training.first_step, steps), stop=stop)


def assert_same(ours: SegmentationNetwork, other: SegmentationNetwork) -> None:
    for (name, left), right in zip(ours.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(left, right), name


@pytest.mark.parametrize("stop", [1, 4, 5, 9])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    whole, curve = run(tmp_path / "whole")
    run(tmp_path / "broken", stop=stop)
    resumed, resumed_curve = run(tmp_path / "broken")
    assert_same(whole, resumed)
    assert curve == resumed_curve


@pytest.mark.parametrize("every", [1, 3, 5, 100])
def test_however_often_it_can_be_resumed_a_training_ends_with_the_same_bytes(tmp_path: Path, every: int) -> None:
    whole, curve = run(tmp_path / "whole", steps=9)
    runtime = RUNTIME.model_copy(update={"checkpoint_every": every})
    run(tmp_path / "broken", steps=9, stop=7, runtime=runtime)
    resumed, resumed_curve = run(tmp_path / "broken", steps=9, runtime=runtime)
    assert_same(whole, resumed)
    assert curve == resumed_curve


@pytest.mark.parametrize(("every", "first_step"), [(1, 6), (3, 4), (4, 4), (5, 6), (7, 0)])
def test_a_training_resumes_at_the_end_of_a_row(tmp_path: Path, every: int, first_step: int) -> None:
    runtime = RUNTIME.model_copy(update={"checkpoint_every": every})
    run(tmp_path, stop=7, runtime=runtime)
    training = start(network(), tmp_path, steps=10, runtime=runtime)
    assert training.first_step == first_step
    assert [row.step for row in training.rows] == list(range(2, first_step + 1, 2))


def test_the_curve_can_be_read_while_training_runs(tmp_path: Path) -> None:
    training = start(network(), tmp_path, steps=9)
    live = training.live_curve
    assert live.read_text() == "step\tloss_labeled\tloss_unlabeled\tlearning_rate\n"
    for record in training.train_on(batches(2, 0, 9)):
        assert len(live.read_text().splitlines()) == 1 + len(training.rows)
        assert (record.row is not None) == (record.step in {2, 4, 6, 8, 9})
    begin_curve(tmp_path / "whole.tsv", training.rows)
    assert live.read_text() == (tmp_path / "whole.tsv").read_text()


def test_a_resumed_training_takes_back_the_rows_that_it_does_again(tmp_path: Path) -> None:
    run(tmp_path, stop=7)
    live = tmp_path / "curve.tsv"
    assert [line.split("\t")[0] for line in live.read_text().splitlines()[1:]] == ["2", "4", "6"]
    with live.open("a") as file:
        file.write("8\t0.1")  # the kill came while a row was written
    training = start(network(), tmp_path, steps=10)
    assert [line.split("\t")[0] for line in live.read_text().splitlines()[1:]] == ["2", "4"]
    finish(training, batches(2, training.first_step, 10))
    _, curve = run(tmp_path / "whole")
    begin_curve(tmp_path / "whole.tsv", curve)
    assert live.read_text() == (tmp_path / "whole.tsv").read_text()


def test_a_record_tells_the_losses_of_the_row_that_it_ends() -> None:
    assert StepRecord(3, None).describe_losses() == ""
    assert StepRecord(4, CurveRow(4, 1.23456, 0.4561, 0.1)).describe_losses() == "loss 1.235 + 0.456"
    assert StepRecord(4, CurveRow(4, 1.23456, 0.0, 0.1)).describe_losses() == "loss 1.235"


def test_a_finished_training_writes_its_network_and_its_curve(tmp_path: Path) -> None:
    trained = build_network(MODEL, 2)
    training = start(trained, tmp_path, steps=1)
    model, curve = tmp_path / "out/model", tmp_path / "out/curve"
    training.write(model=model, curve=curve, snapshots=tmp_path / "out/snapshots")
    checkpoint = read_model(model)
    assert_same(checkpoint.network, trained)
    assert (checkpoint.class_names, checkpoint.colors) == (CATALOG.class_names, CATALOG.colors)
    assert list(read_curve(curve)) == training.rows
    other = start(trained, tmp_path, steps=1, group=replace(ALONE, rank=1))
    other.write(model=tmp_path / "second", curve=curve, snapshots=tmp_path / "out/snapshots")
    assert not (tmp_path / "second").exists()


def test_the_first_steps_of_a_training_are_those_on_record(tmp_path: Path) -> None:
    """Hold losses and rates of the first steps; where they are to change, copy the live curve over the record.

    Rounding differs between processors (order of sums, fused multiplications) and grows from step to step: here to 2e-5 of a loss
    without any vector instructions. Another batch, order, rate or loss moves them by many times the tolerance.
    """
    labeled, unlabeled = draw_sets(tmp_path)
    # With label files in place of pseudo labels, which are all ignored here: both losses are to say something.
    sets = [labeled, replace(unlabeled, pseudo_labels=None)]
    crops = {"crop_height": 16, "crop_width": 24, "photometric_probability": 0.5, "blur_probability": 0.5}
    plan = TrainingPlan(
        sets=sets,
        steps=20,
        training=PARAMS.training.model_copy(update={"log_every": 1}),
        augmentation=PARAMS.augmentation.model_copy(update=crops),
        scales=(0.5, 2.0),
        seed=0,
        round_key="1",
        rounds_before=1,
    )
    training = Training(network(), plan, runtime=RUNTIME, group=ALONE, folder=tmp_path, save=save)
    list(training)
    found = [[float(value) for value in line.split("\t")] for line in training.live_curve.read_text().splitlines()[1:]]
    expected = [[float(value) for value in line.split("\t")] for line in GOLDEN.read_text().splitlines()[1:]]
    assert found == [pytest.approx(row, rel=1e-4) for row in expected]


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
    assert len(lines) == 7
    assert lines[-1].startswith("# sha256 ")


def test_without_pseudo_labels_the_second_loss_is_zero(tmp_path: Path) -> None:
    _, curve = run(tmp_path, parts=1)
    assert all(row.loss_unlabeled == 0 for row in curve)


def test_a_diverging_training_stops_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected finite losses") as caught:
        run(tmp_path, params=TRAINING.model_copy(update={"learning_rate": 1e30}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", [None, 9, 400, -5])
def test_a_damaged_resume_point_is_dropped_in_words_and_the_training_ends_the_same(place: int | None, tmp_path: Path) -> None:
    run(tmp_path, stop=4)
    file = tmp_path / "resume.safetensors"
    content = bytearray(file.read_bytes())
    if place is None:
        del content[100:]
    else:
        content[place] ^= 1
    file.write_bytes(content)
    training = start(network(), tmp_path, steps=10)
    assert training.first_step == 0
    assert "resume.safetensors - expected a resume point - found" in training.remarks[-1]
    assert training.remarks[-1].endswith(" - starting over")
    assert "\n" not in training.remarks[-1]
    finish(training, batches(2, 0, 10))
    assert training.rows == run(tmp_path / "whole")[1]


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
        finish(start(trained, folder, steps=1, params=params), iter([[crop] * parts]))
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
    training = start(trained, tmp_path, steps=2, runtime=RUNTIME.model_copy(update={"compile": True}))
    finish(training, batches(1, 0, 2))
    assert compiled == [trained]
