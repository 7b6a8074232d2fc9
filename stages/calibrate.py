"""Stage `calibrate`: calibrate the teacher's probabilities before pixels are selected (Sec. 3.2)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from pipeline.calibration.calibrator import Calibrator, CalibratorFile, fit_calibrator
from pipeline.calibration.none import NoCalibration
from pipeline.calibration.pixels import LabeledMap, sample_pixels
from pipeline.evaluation.calibration_error import (
    Reliability,
    calibration_errors,
    measure_reliability,
    reliability_diagram,
    sum_reliability,
)
from pipeline.files import atomic_path, write_json
from pipeline.params import Params
from pipeline.randomness import keyed_generator
from pipeline.samples.catalog import IGNORE_INDEX, Catalog, read_catalog
from pipeline.samples.images import read_image, read_labels
from pipeline.samples.sample_lists import Sample, read_samples
from pipeline.softmax_store.confidences import calibrate_confidences, link_confidences
from pipeline.softmax_store.quantize import quantize
from pipeline.softmax_store.reader import SoftmaxStore
from stages.command import EXISTING, NEW, echo, progress, round_option, stage_command


@click.command()
@round_option
@click.option("--teacher", type=EXISTING, required=True, help="Checkpoint of the teacher.")
@click.option("--softmax", type=EXISTING, required=True, help="Softmax store of this round.")
@click.option("--labeled-catalog", type=EXISTING, required=True, help="How the labels of held-out images are spelled.")
@click.option("--holdout", type=EXISTING, required=True, help="List of held-out labeled samples.")
@click.option("--catalog", type=EXISTING, required=True, help="How the labels of validation images are spelled.")
@click.option("--val", type=EXISTING, required=True, help="List of validation samples.")
@click.option("--calibrator", type=NEW, required=True, help="Calibrator to write.")
@click.option("--confidences", type=NEW, required=True, help="Confidence store to write.")
@click.option("--metrics", type=NEW, required=True, help="Calibration errors before and after to write.")
@stage_command
def main(
    params: Params, round_key: str, teacher: Path, softmax: Path, labeled_catalog: Path, holdout: Path, catalog: Path, val: Path,
    calibrator: Path, confidences: Path, metrics: Path,
) -> None:  # fmt: skip
    """Fit and apply one round's calibrator; without one, the confidences are those of the softmax store."""
    store = SoftmaxStore(softmax)
    if params.calibration == "none":
        with atomic_path(confidences) as folder:
            link_confidences(folder, store)
        CalibratorFile(class_names=store.class_names, calibrator=NoCalibration()).write(calibrator)
        write_json(metrics, {"method": "none"})
        return
    # Torch takes seconds to import, and without a calibrator nothing here needs it.
    from pipeline.inference.predictor import Predictor
    from pipeline.models.checkpoints import read_model
    from pipeline.runtime import prepare_device

    fit = params.calibration_fit
    predictor = Predictor(
        read_model(teacher).network, params.inference, prepare_device(params.runtime), compiled=params.runtime.compile
    )

    def maps(samples: Sequence[Sample], classes: Catalog) -> Iterator[LabeledMap]:
        for sample in progress(samples, total=len(samples), unit="labeled image"):
            assert sample.labels  # noqa: S101 - both lists are read with labels
            probs = quantize(
                predictor.probabilities(read_image(sample.image)), floor=params.softmax_store.floor, dtype=store.precision.dtype
            )
            yield probs.softmax, read_labels(sample.labels, classes, size=sample.size)

    pairs = (holdout, labeled_catalog) if fit.on == "holdout" else (val, catalog)
    pixels = sample_pixels(
        maps(read_samples(pairs[0], labels=True), read_catalog(pairs[1])),
        ignore_index=IGNORE_INDEX, most=fit.max_pixels, rng=keyed_generator(params.seed, "calibrate", round_key),
    )  # fmt: skip
    fitted = fit_calibrator(params.calibration, pixels, bins=fit.bins)
    measured = zip(*_measure(maps(read_samples(val, labels=True), read_catalog(catalog)), fitted), strict=True)
    before, after = (sum_reliability(one, store.num_classes) for one in measured)
    with atomic_path(confidences) as folder:
        done = calibrate_confidences(folder, store, fitted.calibrate, workers=params.runtime.workers)
        for _ in progress(done, total=len(store.shards), unit="shard"):
            pass
    content = CalibratorFile(
        class_names=store.class_names, fitted_on=fit.on, fitted_pixels=len(pixels.labels), calibrator=fitted,
        before=reliability_diagram(before), after=reliability_diagram(after),
    )  # fmt: skip
    content.write(calibrator)
    errors = {"before": calibration_errors(before), "after": calibration_errors(after)}
    write_json(metrics, {"method": params.calibration, "fitted_on": fit.on, "measured_on": "val", **errors})
    echo(f"{params.calibration} fitted on {len(pixels.labels):,} pixels of {fit.on}: {errors['before']} -> {errors['after']}")


def _measure(maps: Iterator[LabeledMap], fitted: Calibrator) -> Iterator[tuple[Reliability, Reliability]]:
    for probs, labels in maps:
        before = measure_reliability(probs, labels, ignore_index=IGNORE_INDEX)
        yield before, measure_reliability(fitted.calibrate(probs), labels, ignore_index=IGNORE_INDEX)


if __name__ == "__main__":
    main()
