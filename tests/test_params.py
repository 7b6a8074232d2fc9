from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from pipeline.params import Params, read_params
from tests.workspace import ROOT, change_params

CONTRADICTIONS = {"rounds.1.prev", "rounds.2.prev", "pretrain.epochs", "augmentation.scale_min"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    return tmp_path


def test_the_shipped_parameters_are_valid() -> None:
    params = read_params(ROOT / "params.yaml")
    assert params.labeling_ratio("1") == params.alpha
    assert params.labeling_ratio("2") == params.rounds["2"].alpha
    assert (params.depth("1"), params.depth("2")) == (1, 2)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("alpha", 0.0, "alpha"),
        ("alpha", 1.5, "alpha"),
        ("alpha", "0.5", "alpha"),
        ("alpha", float("nan"), "alpha"),
        ("method", "darts", "method"),
        ("seed", -1, "seed"),
        ("seed", True, "seed"),
        ("rounds.1.prev", 1, "rounds"),
        ("rounds.2.prev", 5, "rounds"),
        ("rounds.2.alpha", 2.0, "rounds.2.alpha"),
        ("training.learning_rate", 0, "training.learning_rate"),
        ("runtime.checkpoint_every", 0, "runtime.checkpoint_every"),
        ("pretrain.epochs", 3, "exactly one"),
        ("augmentation.scale_min", 9.0, "scale_min"),
        ("training.accumulate", 3, "pretrain.batch_size=16"),
        ("model.backbone", "../resnet18", "model.backbone"),
        ("runtime.device", "tpu", "runtime.device"),
        ("data.name", "../secret", "data.name"),
        ("inference.scales", [], "inference.scales"),
        ("inference.scales", [1e300], "inference.scales"),
        ("inference.scales", [1.0] * 33, "inference.scales"),
        ("inference.long_side", 1_000_000, "inference.long_side"),
        ("inference.window_width", 10**9, "inference.window_width"),
        ("inference.stride_ratio", 1e-9, "inference.stride_ratio"),
        ("nonsense", 1, "nonsense"),
        ("training.nonsense", 1, "training.nonsense"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(folder: Path, key: str, value: Any, named: str) -> None:
    change_params(folder, {key: value})
    with pytest.raises(ValueError, match=r"params\.yaml") as caught:
        read_params(folder / "params.yaml")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    # Values that contradict each other are named by the message itself.
    assert ("found" in str(caught.value)) == (key not in CONTRADICTIONS)


def test_a_missing_key_is_named(folder: Path) -> None:
    yaml = YAML()
    tree = yaml.load((folder / "params.yaml").read_text())
    del tree["training"]["momentum"]
    with (folder / "params.yaml").open("w") as handle:
        yaml.dump(tree, handle)
    with pytest.raises(ValueError, match=r"training\.momentum .* found nothing"):
        read_params(folder / "params.yaml")


def test_a_round_with_a_whole_number_as_key_is_refused(folder: Path) -> None:
    text = (folder / "params.yaml").read_text().replace("'1':", "1:")
    (folder / "params.yaml").write_text(text)
    with pytest.raises(ValueError, match="rounds"):
        read_params(folder / "params.yaml")


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\x00"])
def test_a_file_that_is_no_mapping_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"params\.yaml") as caught:
        read_params(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a readable file"):
        read_params(tmp_path / "params.yaml")


def test_an_unknown_round_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match="found 7"):
        read_params(folder / "params.yaml").round("7")


def test_exponents_without_a_point_are_numbers(folder: Path) -> None:
    # YAML 1.1 would read 1e-4 as text; DVC and this project read YAML 1.2.
    text = (folder / "params.yaml").read_text().replace("weight_decay: 0.0001", "weight_decay: 1e-4")
    (folder / "params.yaml").write_text(text)
    assert read_params(folder / "params.yaml").training.weight_decay == 1e-4


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("alpha=0.45", "alpha: 0.45 # labeling ratio"),
        ("st_confidence=0.9", "st_confidence: 0.9 # a fixed threshold"),
        ("data.labeled_fraction=null", "  labeled_fraction:      # 1.0"),
        ("data.val_list=val.txt", "  val_list: val.txt\n"),
        ("data.camvid.val_sequence=Seq05VD", "  camvid: {val_sequence: Seq05VD}\n"),
        ("rounds.2.alpha=0.7", "    alpha: 0.7\n"),
        ("runtime.softmax_url=s3://bucket/folder", "  softmax_url: s3://bucket/folder\n"),
    ],
)
def test_an_override_of_dvc_changes_one_line(folder: Path, override: str, line: str) -> None:
    before = (folder / "params.yaml").read_text().splitlines(keepends=True)
    apply_overrides(folder / "params.yaml", [override])
    after = (folder / "params.yaml").read_text().splitlines(keepends=True)
    (changed,) = [new for old, new in zip(before, after, strict=True) if old != new]
    assert changed.startswith(line)


def test_a_script_that_rewrites_the_file_with_pyyaml_changes_nothing_else(folder: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with DVC's own dependencies, not with ours")
    expected = read_params(folder / "params.yaml").model_copy(update={"alpha": 0.123})
    tree = yaml.safe_load((folder / "params.yaml").read_text())
    tree["alpha"] = 0.123
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    assert read_params(folder / "params.yaml") == expected


def own_model(tmp_path: Path, model: object) -> Params:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    change_params(tmp_path, {"rounds.1.model": model})
    return read_params(tmp_path / "params.yaml")


def test_a_round_may_name_a_network_of_its_own_by_what_differs(tmp_path: Path) -> None:
    params = own_model(tmp_path, {"network": "unet", "head_width": 8})
    expected = params.model.model_copy(update={"network": "unet", "head_width": 8})
    assert params.own_model("1") == expected
    assert params.own_model("2") is None
    # Nothing has trained the network of round 1 before; that of round 2 is the same.
    assert (params.depth("1"), params.depth("2")) == (0, 1)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ({"head_with": 8}, "rounds.1.model.head_with: Extra inputs are not permitted"),
        ({"head_width": 0}, "rounds.1.model.head_width: Input should be greater than or equal to 1"),
        ({"backbone": "resnet18"}, "rounds.1.model: output_stride is 4, expected 8 or 16 or 32 for the backbone resnet18"),
        ("tiny", "rounds.1.model"),
    ],
)
def test_a_network_of_a_round_that_cannot_be_is_named_by_its_key(tmp_path: Path, model: object, found: str) -> None:
    with pytest.raises(ValueError, match=r"params\.yaml") as error:
        own_model(tmp_path, model)
    assert found in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("calibration", ["temperature", "vector", "matrix", "histogram_binning"])
def test_a_calibrator_is_refused_where_the_store_keeps_the_largest_probability_alone(folder: Path, calibration: str) -> None:
    change_params(folder, {"softmax_store.keep": "largest"})
    assert read_params(folder / "params.yaml").softmax_store.keep == "largest"
    change_params(folder, {"calibration": calibration, "calibration_fit.images": "val"})
    with pytest.raises(
        ValueError, match=r"softmax_store\.keep: largest - set softmax_store\.keep=all or calibration=none"
    ) as caught:
        read_params(folder / "params.yaml")
    assert "\n" not in str(caught.value)
