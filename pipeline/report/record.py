"""One experiment: its data set and its rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.evaluation.segmentation import tail_classes
from pipeline.params import EvaluationParams
from pipeline.report.rounds import Round, read_rounds
from pipeline.samples.catalog import Catalog
from pipeline.samples.class_frequencies import Shares
from pipeline.samples.priors import ClassPriors
from pipeline.samples.sample_lists import Sample, read_samples


@dataclass(frozen=True)
class Experiment:
    """What the page is about.

    Attributes:
        catalog: of the data set.
        class_priors: (C,) float64, what pseudo labels are aligned with.
        labeled_shares: (C,) float64, shares of the labeled pixels; the same unless the user wants others.
        tail: (C,) whether a class is a tail class.
        num_labeled: labeled images.
        unlabeled: unlabeled samples, as training sees them.
        truth: those whose labels are known, by image id; only to look at.
        val: validation samples.
        rounds: in numerical order, round 0 first.
    """

    catalog: Catalog
    class_priors: Shares
    labeled_shares: Shares
    tail: tuple[bool, ...]
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
    """Read what the stages left on disk.

    Args:
        prepared: folder that `prepare` wrote.
        rounds: folder with a folder per round.
        keys: of the rounds besides round 0.
        evaluation: says which classes are tail classes.

    Raises:
        ValueError: a file is missing or malformed.
    """
    catalog = Catalog.read(prepared / "catalog.json")
    priors = ClassPriors.read(prepared / "class_priors.json")
    shares = priors.labeled(catalog.class_names)
    known = read_samples(prepared / "unlabeled_truth.tsv", labels=True, may_be_empty=True)
    return Experiment(
        catalog=catalog,
        class_priors=priors.target(catalog.class_names),
        labeled_shares=shares,
        tail=tuple(bool(rare) for rare in tail_classes(catalog.class_names, shares, evaluation)),
        num_labeled=len(read_samples(prepared / "labeled.tsv", labels=True)),
        unlabeled=read_samples(prepared / "unlabeled.tsv", labels=False),
        truth={sample.image_id: sample for sample in known},
        val=read_samples(prepared / "val.tsv", labels=True),
        rounds=read_rounds(rounds, ["0", *keys], catalog.class_names),
    )
