"""CamVid, chosen by parameters alone, from its own folder layout to a round's metrics; images of several sizes in one set."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.workspace import TINY, dvc, make_workspace

SIZES = ((24, 32), (30, 40), (17, 45))


def write_camvid(root: Path) -> None:
    rng = np.random.default_rng(0)
    for video, count in (("0001TP", 6), ("0016E5", 6), ("0006R0", 3)):
        for index in range(count):
            height, width = SIZES[index % len(SIZES)]
            labels = np.repeat(np.repeat(rng.integers(0, 12, (5, 5)), 10, axis=0), 10, axis=1)[:height, :width].astype(np.uint8)
            image = np.clip(labels[..., None] * 20 + rng.integers(0, 30, (height, width, 3)), 0, 255).astype(np.uint8)
            for folder, array in (("train", image), ("trainannot", labels)):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(root / folder / f"{video}_{index:05d}.png")
    for folder in ("val", "valannot"):
        (root / folder).mkdir()
        source = root / folder.replace("val", "train") / "0016E5_00005.png"
        source.rename(root / folder / source.name)


def test_camvid_runs_by_parameters_alone_with_images_of_several_sizes(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_camvid(raw)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in raw.rglob("*"))
    changes = {"data.name": "camvid", "data.root": str(raw), "inference.flip": True, "inference.sliding_window": True}
    folder = make_workspace(tmp_path / "clone", {**TINY, **changes, "inference.window_height": 16, "inference.window_width": 24})
    dvc(folder, "repro", "evaluate@1", "evaluate_pretrained")
    assert sorted((path.name, path.stat().st_mtime_ns) for path in raw.rglob("*")) == before, "raw data is only read"
    metrics = json.loads((folder / "data/rounds/1/metrics.json").read_text())
    assert "3 val images of camvid, own size, windows 16x24 at stride 0.666667, scale 1, with flip" in metrics["protocol"]
    selection = json.loads((folder / "data/rounds/1/selection.json").read_text())
    pngs = list((folder / "data/rounds/1/pseudo_labels").iterdir())
    arrays = [np.asarray(Image.open(png)) for png in pngs]
    assert {array.shape for array in arrays} == set(SIZES)
    assert sum(array.size for array in arrays) == selection["num_pixels"], "padding never counts"
    for label, realized in enumerate(selection["realized_counts"]):
        assert sum(int((array == label).sum()) for array in arrays) == realized
