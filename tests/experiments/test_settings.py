"""Every setting of the paper, spelled as DVC's own overrides and applied by DVC's own code, gives the paper's parameters."""

import json
import shutil
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from hypothesis import given
from hypothesis import strategies as st

from pipeline.experiments.compare import CONTROLS, compare_finished
from pipeline.experiments.overrides import apply_changes, find_difference, merge, name_suffix, overrides
from pipeline.experiments.settings import list_settings, read_setting
from pipeline.params import Params, read_params
from pipeline.schema import read_yaml
from stages.experiment import main
from tests.workspace import ROOT, make_workspace

SETTINGS = ROOT / "data/settings"
EXPERIMENTS = [(name, run) for name in list_settings(SETTINGS) for run in read_setting(SETTINGS, name).runs or [""]]
CASES = [pytest.param(*case, id="-".join(filter(None, case))) for case in EXPERIMENTS]


def apply(folder: Path, texts: list[str]) -> Path:
    """Change a copy of the project's params.yaml as `dvc exp run -S` does."""
    path = folder / "params.yaml"
    shutil.copy2(ROOT / "params.yaml", path)
    apply_overrides(path, texts)
    return path


def params_of(folder: Path, name: str, run: str, *, on: str | None = None) -> Params:
    setting = read_setting(SETTINGS, name, on=on)
    tree = merge(setting.params, setting.runs.get(run, {}))
    return read_params(apply(folder, overrides(tree, read_yaml(ROOT / "params.yaml"))))


# The rows of the paper's Tables 1-3 and of its supplement: crop, long side, epochs of a round, scales of rounds 0 and 1,
# scales of round 2, alpha of rounds 1 and 2, share of labeled images (None: the official list).
Row = tuple[int, int | None, int, tuple[float, float], tuple[float, float], tuple[float, float], float | None]
TABLE: dict[str, Row] = {
    "cityscapes-1-8-361": (361, 1024, 200, (0.25, 1), (0.2, 1.5), (0.2, 0.5), 1 / 8),
    "cityscapes-1-4-361": (361, 1024, 200, (0.25, 1), (0.2, 1.5), (0.4, 0.6), 1 / 4),
    "cityscapes-1-8-713": (713, 2048, 200, (0.5, 2), (0.5, 3), (0.4, 0.65), 1 / 8),
    "cityscapes-1-4-713": (713, 2048, 200, (0.5, 2), (0.4, 2.5), (0.4, 0.65), 1 / 4),
    "cityscapes-1-8-deeplabv2": (361, 1024, 200, (0.25, 1), (0.25, 1), (0.2, 0.45), 1 / 8),
    "voc-1464": (321, 400, 50, (0.5, 1.5), (0.5, 2), (0.4, 0.5), None),
    "scannet-1-8": (481, 648, 20, (0.25, 1), (0.2, 1.5), (0.5, 0.5), 1 / 8),
    "scannet-1-4": (481, 648, 20, (0.25, 1), (0.2, 1.5), (0.5, 0.5), 1 / 4),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_a_setting_has_the_papers_parameters(name: str, tmp_path: Path) -> None:
    side, long_side, epochs, first_scales, last_scales, alphas, fraction = TABLE[name]
    params = params_of(tmp_path, name, "")
    crop = params.augmentation
    assert (crop.crop_height, crop.crop_width) == (side, side)
    assert (params.inference.window_height, params.inference.window_width) == (side, side)
    assert params.inference.sliding_window
    assert params.inference.stride_ratio == pytest.approx(2 / 3)
    assert params.inference.scales == (1.0,)
    assert params.inference.long_side == long_side
    for key, scales in (("1", first_scales), ("2", last_scales)):
        section = params.rounds[key]
        widened = ((1 - section.beta_min) * crop.scale_min, (1 + section.beta_max) * crop.scale_max)
        assert widened == pytest.approx(scales)
    assert (params.labeling_ratio("1"), params.labeling_ratio("2")) == alphas
    assert params.data.labeled_fraction == fraction
    assert params.student.epochs == epochs
    assert (crop.rotation, crop.rotation_probability, crop.blur_probability, crop.flip_probability) == (10, 0.5, 0.5, 0.5)
    assert crop.photometric_probability == 0
    sgd = params.training
    deeplab = name.endswith("deeplabv2")
    assert (sgd.momentum, sgd.weight_decay, sgd.poly_power, sgd.head_factor, sgd.auxiliary_weight) == (0.9, 1e-4, 0.9, 10, 0.4)
    assert sgd.learning_rate == (0.002 if deeplab else 0.01)
    assert params.pretrain.batch_size == 16
    half = 4 if deeplab else 8
    assert (params.student.labeled_batch_size, params.student.unlabeled_batch_size) == (half, half)
    network = ("deeplabv2", "resnet101", False) if deeplab else ("pspnet", "resnet50", True)
    assert (params.model.network, params.model.backbone, params.model.auxiliary) == network
    assert (params.model.output_stride, params.model.weights, params.model.bins) == (8, "imagenet", (1, 2, 3, 6))
    assert params.method == "dars"


def test_pretraining_is_as_long_as_in_the_release(tmp_path: Path) -> None:
    assert params_of(tmp_path, "cityscapes-1-8-361", "").pretrain.epochs == 200
    assert params_of(tmp_path, "voc-1464", "").pretrain.epochs == 50
    assert params_of(tmp_path, "scannet-1-8", "").pretrain.epochs == 20
    assert params_of(tmp_path, "gta5-to-cityscapes", "dars-td").pretrain.epochs == 10
    # The release repeats the 372 labeled images to the 2603 unlabeled ones.
    assert params_of(tmp_path, "cityscapes-1-8-deeplabv2", "").pretrain.steps == -(-200 * 2603 // 16)


def test_the_tail_of_cityscapes_has_its_thirteen_classes(tmp_path: Path) -> None:
    tail = params_of(tmp_path, "table9", "alpha20", on="cityscapes-1-8-361").evaluation.tail_classes
    assert tail is not None
    assert len(tail) == 13
    assert not {"road", "sidewalk", "building", "vegetation", "sky", "car"} & set(tail)


def test_table_6_varies_ratio_and_augmentation(tmp_path: Path) -> None:
    rows = {}
    for run in read_setting(SETTINGS, "table6").runs:
        params = params_of(tmp_path, "table6", run, on="cityscapes-1-8-361")
        last = max(params.rounds)
        section = params.rounds[last]
        rows[run] = (int(last), params.labeling_ratio(last), section.beta_min, section.beta_max)
    assert rows.pop("none") == (2, 0.2, 0.0, 0.0)
    assert rows == {
        "round1-strong": (1, 0.2, 0.2, 0.5),
        "round2-alpha20": (2, 0.2, 0.0, 0.0),
        "round2-alpha50": (2, 0.5, 0.0, 0.0),
        "round2-alpha50-strong": (2, 0.5, 0.2, 0.5),
    }


def test_table_9_and_10_sweep_round_two_and_share_round_one(tmp_path: Path) -> None:
    ratios: list[object] = []
    betas: list[tuple[float, float]] = []
    for name in ("table9", "table10"):
        for run in [run for run in read_setting(SETTINGS, name).runs if run != "none"]:
            params = params_of(tmp_path, name, run, on="cityscapes-1-8-361")
            assert (params.labeling_ratio("1"), params.rounds["1"].beta_min, params.rounds["1"].beta_max) == (0.2, 0, 0)
            if name == "table9":
                ratios.append(params.labeling_ratio("2"))
            else:
                betas.append((params.rounds["2"].beta_min, params.rounds["2"].beta_max))
    assert ratios == [0.2, 0.3, 0.4, 0.5, 0.6]
    assert betas == [(0.4, 0), (0.2, 0), (0, 0), (0, 0.25), (0, 0.5), (0, 0.75), (0.2, 0.5)]


def test_table_8_adds_unlabeled_images_at_a_fixed_number_of_steps(tmp_path: Path) -> None:
    runs = {run: params_of(tmp_path, "table8", run) for run in read_setting(SETTINGS, "table8").runs}
    assert list(runs) == ["np0", "none", "np3k", "np6k", "np9k"]
    assert [params.data.unlabeled_count for params in runs.values()] == [None, 3000, 3000, 6000, 9000]
    assert {params.student.steps for params in runs.values()} == {74375}
    assert all(params.data.labeled_fraction == 1.0 and params.data.cityscapes.train_extra for params in runs.values())
    assert [len(params.rounds) for params in runs.values()] == [0, 2, 2, 2, 2]


def test_domain_adaptation_has_its_priors(tmp_path: Path) -> None:
    runs = {run: params_of(tmp_path, "gta5-to-cityscapes", run) for run in read_setting(SETTINGS, "gta5-to-cityscapes").runs}
    assert {run: (params.method, params.data.source, params.data.priors, len(params.rounds)) for run, params in runs.items()} == {
        "baseline": ("dars", "gta5", "labeled", 0),
        "none": ("none", "gta5", "labeled", 1),
        "st": ("st", "gta5", "labeled", 1),
        "cbst": ("cbst", "gta5", "labeled", 1),
        "dars-sd": ("dars", "gta5", "source", 1),
        "dars-td": ("dars", "gta5", "val", 1),
        "none-it": ("none", "gta5", "labeled", 2),
        "dars-td-iterated": ("dars", "gta5", "val", 2),
        "oracle": ("dars", None, "labeled", 0),
    }
    assert all(params.augmentation.crop_height == 713 for params in runs.values())


@pytest.mark.parametrize("name", ["table4", "table5", "table6", "table9", "table10"])
@pytest.mark.parametrize("on", [None, "cityscapes-1-8-361", "folder-small"])
def test_tables_of_methods_run_on_any_data_set_and_have_a_control(name: str, on: str | None, tmp_path: Path) -> None:
    data_set = {None: "streets", "cityscapes-1-8-361": "cityscapes", "folder-small": "folder"}[on]
    setting = read_setting(SETTINGS, name, on=on)
    assert set(setting.needs) <= {data_set}
    runs = {run: params_of(tmp_path, name, run, on=on) for run in setting.runs}
    assert {params.data.name for params in runs.values()} == {data_set}
    assert {run for run, params in runs.items() if params.method == "none"} == set(CONTROLS) & set(runs)
    longest = max(runs.values(), key=lambda params: len(params.rounds))
    assert max(len(runs[control].rounds) for control in CONTROLS if control in runs) == len(longest.rounds)


@pytest.mark.parametrize("name", [name for name in list_settings(SETTINGS) if not name.startswith("folder-")])
def test_every_setting_with_pseudo_labels_has_the_control_that_trains_as_long_without(name: str) -> None:
    # Own images run with --here, which takes one run; docs/data-sets.md has the command of their control.
    current, setting = read_yaml(ROOT / "params.yaml"), read_setting(SETTINGS, name)
    runs = {
        run: Params.model_validate(apply_changes(current, merge(setting.params, changes)))
        for run, changes in (setting.runs or {"": {}}).items()
    }
    for run, control in setting.controls.items():
        ours, theirs = runs.pop(run), runs[control]
        assert theirs.method == "none" != ours.method
        assert (theirs.rounds.keys(), theirs.student, theirs.data) == (ours.rounds.keys(), ours.student, ours.data)
    labeled = {len(params.rounds) for params in runs.values() if params.method != "none" and params.rounds}
    controls = [params for run, params in runs.items() if run in CONTROLS and params.rounds]  # table11's has no augmentation
    assert all(params.method == "none" for params in controls)
    assert labeled <= {rounds for params in controls for rounds in range(1, len(params.rounds) + 1)}


def test_every_comparison_is_valid_on_every_setting() -> None:
    current, names = read_yaml(ROOT / "params.yaml"), list_settings(SETTINGS)
    comparisons = [name for name in names if not read_setting(SETTINGS, name).needs]  # they run on any data set
    assert comparisons == [
        "equal-pixels", "few-labels", "one-round", "recipes", "store-precision", "study",
        "table10", "table4", "table5", "table6", "table9", "thinning", "wrong-priors",
    ]  # fmt: skip
    for name, on in product(comparisons, names):
        setting = read_setting(SETTINGS, name, on=None if on == name else on)
        for changes in setting.runs.values():
            params = Params.model_validate(apply_changes(current, merge(setting.params, changes)))
            assert params.calibration in {"none", "histogram_binning"} or params.softmax_store.floor == 0


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("settings") / "clone", {})


@pytest.mark.parametrize(("name", "run"), CASES)
def test_the_dag_of_every_run_resolves(name: str, run: str, workspace: Path) -> None:
    params = params_of(workspace, name, run)
    with Repo(str(workspace)) as repo:
        stages = {str(stage.name) for stage in repo.index.stages}
    once = {"prepare", "pretrain", "evaluate_pretrained", "summarize", "report"}
    assert {stage for stage in stages if "@" not in stage} == once
    assert {stage.partition("@")[2] for stage in stages - once} == set(params.rounds)
    assert len(stages) == len(once) + 7 * len(params.rounds)


@pytest.mark.parametrize(("name", "run"), CASES)
def test_every_run_is_one_dry_command_of_dvc(name: str, run: str, tmp_path: Path) -> None:
    needs = read_setting(SETTINGS, name).needs
    roots = [word for data_set in needs for word in ("--root", f"{data_set}={tmp_path}")]
    done = CliRunner().invoke(main, [name, *filter(None, [run]), *roots, "--dry-run", "--seed", "3"])
    assert done.exit_code == 0, done.output
    (line,) = done.output.splitlines()
    assert line.startswith(f"dvc exp run --temp --name {'-'.join(filter(None, (name, run)))}-seed3 -S ")
    assert not needs or f"data.root={tmp_path}" in line
    assert "seed=3" in line


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8).filter(lambda text: "$" not in text)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(value=VALUES)
def test_any_value_comes_out_of_dvcs_parser_as_it_was(value: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("spelled") / "params.yaml"
    path.write_text("section:\n  key: 0.125\n")
    texts = overrides({"section": {"key": value}}, {"section": {"key": object()}})
    apply_overrides(path, texts)
    assert json.dumps(read_yaml(path)["section"]["key"]) == json.dumps(value)


def test_what_is_there_already_needs_no_override() -> None:
    current = {"alpha": 0.4, "data": {"name": "streets", "root": "x"}, "rounds": {"1": {"prev": 0}, "2": {"prev": 1}}}
    assert overrides(current, current) == []
    changes = {"data": {"root": "a b"}, "rounds": {"1": {"prev": 0}, "3": {"prev": 1, "alpha": None}}}
    assert overrides(changes, current) == ['data.root="a b"', "~rounds.2", "+rounds.3={prev: 1, alpha: null}"]
    assert overrides({"alpha": 1}, {"alpha": True}) == ["alpha=1"]


def test_a_setting_starts_from_its_base_and_replaces_all_rounds(tmp_path: Path) -> None:
    head = "title: t\nreference: r\nfigure: f\n"
    (tmp_path / "a.yaml").write_text(
        head + 'needs: {voc: v}\nparams: {alpha: 0.1, data: {name: voc}, rounds: {"1": {}, "2": {}}}\n'
    )
    (tmp_path / "b.yaml").write_text(head + 'base: a\nparams: {data: {root: x}, rounds: {"3": {}}}\n')
    setting = read_setting(tmp_path, "b")
    assert setting.params == {"alpha": 0.1, "data": {"name": "voc", "root": "x"}, "rounds": {"3": {}}}
    assert setting.needs == {"voc": "v"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("reference: t\n", "title - Field required"),
        ("title: t\nreference: r\nfigure: f\nparam: {}\n", "param - Extra inputs"),
        ("title: t\nreference: r\nfigure: f\nbase: wrong\n", "base - expected another setting"),
        ("title: t\nreference: r\nfigure: f\nbase: nowhere\n", "no such setting"),
        ("title: [\n", "expected YAML"),
    ],
)
def test_a_wrong_setting_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        read_setting(tmp_path, "wrong")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "no such setting - choose one"),
        (["../settings/table9"], "no such setting"),
        (["table8"], "expected --root cityscapes=FOLDER - found none"),
        (["table8", "--root", "cityscapes="], "expected --root cityscapes=FOLDER"),
        (["table8", "--root", "cityscapes=/nowhere"], "expected a folder - found /nowhere"),
        (["table9", "--on", "cityscapes-1-8-361"], "expected --root cityscapes=FOLDER - found none"),
        (["table9", "alpha7"], "expected runs among none, alpha20, alpha30"),
        (["table9", "--here"], "expected one run and one seed - found 6"),
        (["table8", "--root", "cityscapes=.", "--root", "gta=."], "expected a --root for cityscapes - found 'gta'"),
    ],
)
def test_a_wrong_command_is_one_line(arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert says in done.output
    assert len(done.output.splitlines()) == 1


def test_names_of_experiments_tell_what_a_user_set() -> None:
    assert name_suffix(()) == ""
    assert name_suffix(("alpha=0.5", "+rounds.3={prev: 2}")) == "+alpha=0.5+rounds.3=_prev__2_"
    long = name_suffix((f"data.root=/{'x' * 200}",))
    assert len(long) == 9
    assert long != name_suffix((f"data.root=/{'y' * 200}",))


def test_a_difference_is_told_but_for_the_machine_and_what_the_name_tells() -> None:
    current = read_yaml(ROOT / "params.yaml")
    assert find_difference(current, current, extra=()) is None
    other = apply_changes(current, {"runtime": {"workers": 7}, "model": {"dropout": 0.5}, "rounds": {"1": {"alpha": 0.1}}})
    assert find_difference(current, other, extra=()) == "model.dropout: 0.5 instead of 0.1"
    assert find_difference(current, other, extra=("model={dropout: 0.5}",)) == "rounds.1.alpha: 0.1 instead of null"
    assert find_difference(current, other, extra=("model.dropout=0.5", "~rounds.2", "rounds.1.alpha=0.1")) is None
    assert other["rounds"]["1"]["beta_max"] == 0.0


def test_table_4_compares_methods_at_one_labeled_set_and_one_length(tmp_path: Path) -> None:
    rows = {}
    for run in read_setting(SETTINGS, "table4").runs:
        params = params_of(tmp_path, "table4", run)
        rows[run] = (params.method, params.calibration, len(params.rounds))
        assert (params.data.holdout_fraction, params.calibration_fit.images) == (0.2, "holdout")
        assert not params.equal_pixels
    single = {"none", "st", "st-ts", "cbst", "cbst-ts", "da-ts", "dars"}
    assert set(rows) == single | {"none-it", "st-it", "cbst-it", "dars-it"}
    for run, (method, calibration, rounds) in rows.items():
        assert (method, rounds) == (run.split("-")[0], 1 if run in single else 2)
        assert calibration == ("temperature" if run.endswith("-ts") else "none")


def test_table_5_compares_calibrations(tmp_path: Path) -> None:
    rows = {run: params_of(tmp_path, "table5", run) for run in read_setting(SETTINGS, "table5").runs}
    assert {run: (params.method, params.calibration, params.training.focal_gamma) for run, params in rows.items()} == {
        "none": ("none", "none", 0), "st": ("st", "none", 0), "st-ts": ("st", "temperature", 0), "st-vector": ("st", "vector", 0),
        "st-matrix": ("st", "matrix", 0), "st-histogram": ("st", "histogram_binning", 0), "st-focal": ("st", "none", 2),
        "dars": ("dars", "none", 0),
    }  # fmt: skip


def test_the_runs_of_a_table_start_from_another_setting_where_asked() -> None:
    setting = read_setting(SETTINGS, "table4", on="cityscapes-1-8-361")
    assert setting.params["data"] == {**read_setting(SETTINGS, "cityscapes-1-8-361").params["data"], "holdout_fraction": 0.2}
    assert set(setting.needs) == {"cityscapes"}
    assert set(read_setting(SETTINGS, "table9", on="folder-small").needs) == {"folder"}
    assert read_setting(SETTINGS, "table9", on="folder-small").params["data"]["name"] == "folder"
    with pytest.raises(ValueError, match="expected one of"):
        read_setting(SETTINGS, "table4", on="nothing")


def test_the_command_names_what_the_runs_start_from(tmp_path: Path) -> None:
    words = ["table4", "dars", "--on", "cityscapes-1-8-361", "--root", f"cityscapes={tmp_path}", "--dry-run"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("dvc exp run --temp --name table4-on-cityscapes-1-8-361-dars -S ")
    assert "data.name=cityscapes" in done.output
    assert "data.holdout_fraction=0.2" in done.output


def test_a_control_that_is_no_run_is_refused() -> None:
    setting = read_setting(SETTINGS, "table4")
    with pytest.raises(ValueError, match=r"--control - expected a run of none, st, .* - found nope"):
        compare_finished("table4", setting, control="nope")
