"""`summary.json`: the metrics of an experiment, a dozen figures that `dvc metrics diff` and tables of experiments show."""

from collections.abc import Sequence

from pipeline.results.rounds import RoundResults
from pipeline.schema import Artifact, FloatOrInfinite, Section


class FinalSummary(Section):
    """The last round's network; shares in [0, 1], None where undefined."""

    round: int
    mean_iou: float | None
    tail_mean_iou: float | None
    gain: float | None
    """In mean IoU over round 0; None for round 0."""
    tail_gain: float | None
    """In tail mean IoU over round 0, likewise."""


class RoundSummary(Section):
    """One round; shares in [0, 1], None where undefined and, of pseudo labels, in round 0."""

    mean_iou: float | None
    tail_mean_iou: float | None
    gain: float | None = None
    """In mean IoU over round 0; None for round 0."""
    tail_gain: float | None = None
    """In tail mean IoU over round 0, likewise."""
    coverage: float | None = None
    """Pseudo-labeled over all unlabeled pixels."""
    kl: FloatOrInfinite | None = None
    """D_KL(class priors || pseudo labels) in nats."""
    smoothed_kl: float | None = None
    """The same with a tiny share for classes without a pseudo label."""
    kl_true: FloatOrInfinite | None = None
    """D_KL(true labels || pseudo labels) in nats, over the pixels whose true class is known: the paper's Table 15."""
    smoothed_kl_true: float | None = None
    """The same with a tiny share for classes without a pseudo label."""
    pseudo_label_accuracy: float | None = None
    """Right among the pseudo labels whose true class is known."""


class Summary(Artifact):
    """One experiment."""

    described_as = "the summary of an experiment"
    written_by = "summarize"
    sealed = False  # the metric of DVC, which would show the sha256; git keeps it

    final: FinalSummary
    rounds: dict[str, RoundSummary]
    """By key, in numerical order."""


def summarize(rounds: Sequence[RoundResults]) -> Summary:
    """Pick the figures of the rounds, which come in numerical order, round 0 first."""
    summaries = {results.key: _summarize_round(results, rounds[0]) for results in rounds}
    scores = set(FinalSummary.model_fields) - {"round"}
    last = rounds[-1].key
    return Summary(final=FinalSummary(round=int(last), **summaries[last].model_dump(include=scores)), rounds=summaries)


def _summarize_round(results: RoundResults, first: RoundResults) -> RoundSummary:
    after, before, statistics = results.metrics, first.metrics, results.statistics
    if statistics is None:
        return RoundSummary(mean_iou=after.mean_iou, tail_mean_iou=after.tail_mean_iou)
    return RoundSummary(
        mean_iou=after.mean_iou,
        tail_mean_iou=after.tail_mean_iou,
        gain=difference(after.mean_iou, before.mean_iou),
        tail_gain=difference(after.tail_mean_iou, before.tail_mean_iou),
        coverage=statistics.coverage,
        kl=statistics.kl.pseudo_labeled.value,
        smoothed_kl=statistics.kl.pseudo_labeled.smoothed,
        kl_true=statistics.kl_true.value,
        smoothed_kl_true=statistics.kl_true.smoothed,
        pseudo_label_accuracy=statistics.accuracy,
    )


def difference(after: float | None, before: float | None) -> float | None:
    """Subtract, where both are defined."""
    return None if after is None or before is None else after - before
