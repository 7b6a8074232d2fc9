"""Softmax maps and DVC's cache on object storage: the experiment is the same."""

import shutil
from pathlib import Path

from pipeline.files import digest
from tests.object_storage import BUCKET, object_storage
from tests.workspace import TINY, change_params, dvc, make_workspace, stages_run


def test_softmax_maps_at_a_url_change_nothing_that_follows(tmp_path: Path) -> None:
    with object_storage() as storage:
        folder = make_workspace(tmp_path / "clone", TINY)
        dvc(folder, "repro", "sample_labels@1")
        selection = digest(folder / "data/rounds/1/selection.json")
        labels = digest(folder / "data/rounds/1/pseudo_labels")

        change_params(folder, {"runtime.softmax_url": f"s3://{BUCKET}/maps"})
        dvc(folder, "repro", "--force", "--single-item", "infer@1")
        assert [path.name for path in (folder / "data/rounds/1/softmax.zarr").iterdir()] == ["location.json"]
        # The confidences are the same, so nothing after them runs again.
        assert stages_run(dvc(folder, "repro", "sample_labels@1")) == ["calibrate@1"]
        assert digest(folder / "data/rounds/1/selection.json") == selection
        dvc(folder, "repro", "statistics@1")

        # What is cached goes to a remote on object storage and comes back.
        dvc(folder, "remote", "add", "--default", "storage", f"s3://{BUCKET}/cache")
        dvc(folder, "push")
        shutil.rmtree(folder / ".dvc/cache")
        shutil.rmtree(folder / "data/rounds/1/pseudo_labels")
        dvc(folder, "pull", "sample_labels@1")
        assert digest(folder / "data/rounds/1/pseudo_labels") == labels

        # Without the server, one line says what is missing.
        storage.stop()
        try:
            change_params(folder, {"seed": 5})
            done = dvc(folder, "repro", "--force", "--single-item", "infer@1", check=False)
        finally:
            storage.start()
        assert done.returncode != 0
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1
        assert "expected a file system that answers" in errors[0]
