"""The tools' own libraries, read and written by: a script for an environment that has them, and imports nothing of the project.

    python tests/annotations/tools.py FORMAT EXPORT CORRECTED

reads what `python -m stages.annotations export` wrote and writes what the tool would export after nobody has corrected anything.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any


def cvat(export: Path, corrected: Path) -> None:
    """As CVAT's importer and exporter of "Segmentation mask 1.1" call datumaro; colors are the task's own, not ours."""
    import datumaro as dm

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(export / "annotations.zip") as archive:
            archive.extractall(folder)
        # CVAT's own datumaro has one importer of all parts of VOC.
        known = dm.Environment().importers
        data_set = dm.Dataset.import_from(folder, "voc_segmentation" if "voc_segmentation" in known else "voc")
        names = [label.name for label in data_set.categories()[dm.AnnotationType.label]]
        shown = {names[annotation.label] for item in data_set for annotation in item.annotations}
        assert "background" not in shown, "what nothing covers makes no mask"
        label_map: dict[str, Any] = {"background": [(0, 0, 0), [], []]}
        others = [name for name in names if name != "background"]
        label_map |= {name: [(10 + place, 200, 3 * place), [], []] for place, name in enumerate(others)}
        with tempfile.TemporaryDirectory() as target:
            data_set.export(target, "voc_segmentation", save_media=False, apply_colormap=True, label_map=label_map)
            with zipfile.ZipFile(corrected, "w") as archive:
                for file in sorted(Path(target).rglob("*")):
                    if file.is_file():
                        archive.write(file, file.relative_to(target))


def coco(export: Path, corrected: Path) -> None:
    """By datumaro, as CVAT does."""
    import datumaro as dm

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as target:
        place = Path(folder) / "annotations"
        place.mkdir()
        (Path(folder) / "images").mkdir()
        (place / "instances_default.json").write_bytes((export / "annotations.json").read_bytes())
        data_set = dm.Dataset.import_from(folder, "coco_instances")
        data_set.export(target, "coco_instances", save_media=False)
        [file] = Path(target).rglob("*.json")
        corrected.write_bytes(file.read_bytes())


def label_studio(export: Path, corrected: Path) -> None:
    """By the converter of label-studio-sdk; ids and file names are those of an upload."""
    from label_studio_sdk.converter.brush import decode_rle, mask2rle

    tasks = json.loads((export / "tasks.json").read_text(encoding="utf-8"))
    for number, task in enumerate(tasks, start=1):
        results = task.pop("predictions")[0]["result"]
        for result in results:
            shape = (result["original_height"], result["original_width"], 4)
            mask = decode_rle(result["value"]["rle"]).reshape(shape)[:, :, 3]
            result["value"]["rle"] = mask2rle(mask)
        annotation = {"id": number, "result": results, "was_cancelled": False, "ground_truth": False, "completed_by": 1}
        task |= {"id": number, "annotations": [annotation], "project": 1}
    corrected.write_text(json.dumps(tasks), encoding="utf-8")


if __name__ == "__main__":
    {"cvat": cvat, "coco": coco, "label-studio": label_studio}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
