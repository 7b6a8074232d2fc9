"""One experiment: its data set and its rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.calibration.calibrator import CalibratorFile
from pipeline.evaluation.segmentation import tail_classes
from pipeline.params import EvaluationParams
from pipeline.results.rounds import RoundResults, check_classes, read_results
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import Shares
from pipeline.samples.prior_intervals import PriorIntervals
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import Sample, read_samples
from pipeline.selection import Selection


@dataclass(frozen=True)
class Round(RoundResults):
    """One round; round 0 was trained on labeled images alone and has nothing that is about pseudo labels."""

    folder: Path
    selection: Selection | None
    calibrator: CalibratorFile | None

    @property
    def label(self) -> str:
        """What the page calls it."""
        return f"Round {self.key}"


@dataclass(frozen=True)
class Experiment:
    """What the page is about.

    Attributes:
        catalog: of the data set.
        labeled_shares: (C,) float64, shares of the labeled pixels.
        tail: (C,) whether a class is a tail class.
        share_intervals: how well the labeled images know these shares.
        num_labeled: labeled images.
        unlabeled: unlabeled samples, as training sees them.
        truth: those whose labels are known, by image id; only to look at.
        val: validation samples.
        rounds: in numerical order, round 0 first.
    """

    catalog: Catalog
    labeled_shares: Shares
    tail: tuple[bool, ...]
    share_intervals: PriorIntervals
    num_labeled: int
    unlabeled: Sequence[Sample]
    truth: Mapping[str, Sample]
    val: Sequence[Sample]
    rounds: tuple[Round, ...]

    @property
    def first(self) -> Round:
        """Round 0."""
        return self.rounds[0]

    @property
    def last(self) -> Round:
        """The round with the highest number; round 0 where there is no other."""
        return self.rounds[-1]

    @property
    def students(self) -> tuple[Round, ...]:
        """All rounds but round 0."""
        return self.rounds[1:]


def read_experiment(prepared: Path, rounds: Path, keys: Sequence[str], evaluation: EvaluationParams) -> Experiment:
    """Read what the stages left on disk: the folder that `prepare` wrote, and in `rounds` those of round 0 and of `keys`.

    Folders of other rounds are left alone; `evaluation` says which classes are tail classes.

    Raises:
        ValueError: a file is missing, malformed or of other classes.
    """
    catalog = Catalog.read(prepared / "catalog.json")
    shares = ClassPriors.read(prepared / "class_priors.json").labeled(catalog.class_names)
    known = read_samples(prepared / "unlabeled_truth.tsv", labels=True, may_be_empty=True)
    return Experiment(
        catalog=catalog,
        labeled_shares=shares,
        tail=tuple(tail_classes(catalog.class_names, shares, evaluation).tolist()),
        share_intervals=PriorIntervals.read(prepared / "prior_intervals.json"),
        num_labeled=len(read_samples(prepared / "labeled.tsv", labels=True)),
        unlabeled=read_samples(prepared / "unlabeled.tsv", labels=False),
        truth={sample.image_id: sample for sample in known},
        val=read_samples(prepared / "val.tsv", labels=True),
        rounds=tuple(_read_round(rounds / key, key, catalog.class_names) for key in ("0", *sorted(keys, key=int))),
    )


def _read_round(folder: Path, key: str, class_names: Sequence[str]) -> Round:
    selection = calibrator = None
    if key != "0":
        selection = Selection.read(folder / "selection.json")
        check_classes(folder / "selection.json", selection.class_names, class_names, stage="solve_thresholds")
        calibrator = CalibratorFile.read(folder / "calibrator.json")
    results = read_results(folder, key, class_names)
    return Round(**vars(results), folder=folder, selection=selection, calibrator=calibrator)
