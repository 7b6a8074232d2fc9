from pathlib import Path

import pytest

from pipeline.models.snapshots import Snapshots, publish_snapshots, snapshot_path, snapshot_steps


@pytest.mark.parametrize(
    ("every", "last", "steps"), [(0, 9, ()), (3, 9, (3, 6)), (3, 10, (3, 6, 9)), (9, 9, ()), (50, 9, ()), (1, 3, (1, 2))]
)
def test_every_nth_step_before_the_last_has_a_snapshot(every: int, last: int, steps: tuple[int, ...]) -> None:
    assert snapshot_steps(every, last) == steps
    assert Snapshots(last_step=last, steps=steps).steps == steps


@pytest.mark.parametrize("steps", [(3, 3), (6, 3), (9,), (10,)])
def test_steps_that_do_not_ascend_to_the_last_are_refused(steps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected ascending steps"):
        Snapshots(last_step=9, steps=steps)


def test_what_is_published_is_what_was_taken_and_no_more(tmp_path: Path) -> None:
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    for step in (2, 4, 6):  # the last of an earlier, longer try
        snapshot_path(scratch, step).write_text(str(step))
    publish_snapshots(out, scratch, every=2, last_step=5)
    assert sorted(path.name for path in out.iterdir()) == [
        "snapshots.json",
        "step-00000002.safetensors",
        "step-00000004.safetensors",
    ]
    assert Snapshots.read(out / "snapshots.json") == Snapshots(last_step=5, steps=(2, 4))
    assert snapshot_path(out, 4).read_text() == "4"
    last = tmp_path / "last"
    published = Snapshots.read(out / "snapshots.json").checkpoints(out, last=last)
    assert published == {2: snapshot_path(out, 2), 4: snapshot_path(out, 4), 5: last}
    assert Snapshots(last_step=5, steps=()).checkpoints(out, last=last) == {}
