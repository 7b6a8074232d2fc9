"""Stage `calibrate`: calibrate the teacher's probabilities before pixels are selected (Sec. 3.2)."""

from functools import partial
from pathlib import Path

import click

from pipeline.params import Params
from stages.command import EXISTING, NEW, echo, progress, round_option, run_to_end, stage_command


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
@stage_command
def main(
    params: Params, round_key: str, teacher: Path, softmax: Path, labeled_catalog: Path, holdout: Path, catalog: Path, val: Path,
    calibrator: Path, confidences: Path,
) -> None:  # fmt: skip
    """Fit and apply one round's calibrator; without one, the confidences are those of the softmax store."""
    from pipeline.calibration.calibrator import CalibratorFile
    from pipeline.calibration.fit_round import fit_round, labeled_maps
    from pipeline.calibration.none import NoCalibration
    from pipeline.files import atomic_path
    from pipeline.randomness import keyed_generator
    from pipeline.samples.catalog import Catalog
    from pipeline.samples.sample_lists import read_samples
    from pipeline.softmax_store.confidences import calibrate_confidences, link_confidences
    from pipeline.softmax_store.reader import SoftmaxStore

    store = SoftmaxStore(softmax)
    if missing := store.unpredicted_classes(workers=params.runtime.workers):
        echo(f"warning: the teacher predicts {len(missing)} of {store.num_classes} classes nowhere: {', '.join(missing)}")
    if params.calibration == "none":
        with atomic_path(confidences) as folder:
            link_confidences(folder, store)
        CalibratorFile(class_names=store.class_names, calibrator=NoCalibration()).write(calibrator)
        return
    store.check_params(params.softmax_store)
    # Torch takes seconds to import, and without a calibrator nothing here needs it.
    from pipeline.inference.predictor import Predictor
    from pipeline.inference.quantize import predict_rounded, quantize
    from pipeline.models.checkpoints import read_model
    from pipeline.runtime import prepare_device

    network, device = read_model(teacher).network, prepare_device(params.runtime)
    average, compiled = params.softmax_store.average, params.runtime.compile
    predictor = Predictor(network, params.inference, device, average=average, compiled=compiled)
    predict = partial(predict_rounded, predictor=predictor, floor=params.softmax_store.floor, dtype=store.precision.dtype)
    fit = params.calibration_fit
    samples, classes = (holdout, labeled_catalog) if fit.images == "holdout" else (val, catalog)
    fitted = fit_round(
        params.calibration,
        fit,
        labeled_maps(read_samples(samples, labels=True), Catalog.read(classes), predict, progress),
        labeled_maps(read_samples(val, labels=True), Catalog.read(catalog), predict, progress),
        class_names=store.class_names,
        rng=keyed_generator(params.seed, "calibrate", round_key),
    )
    with atomic_path(confidences) as folder:
        entry = partial(quantize, floor=0.0, dtype=store.precision.dtype, keep="largest")
        done = calibrate_confidences(folder, store, fitted.calibrator.calibrate, entry, workers=params.runtime.workers)
        run_to_end(done, total=len(store.shards), unit="shard")
    fitted.write(calibrator)
    echo(f"{params.calibration} fitted on {fitted.fitted_pixels:,} pixels of {fit.images}")
    echo(f"on val, {fitted.errors_before} before, {fitted.errors_after} after")


if __name__ == "__main__":
    main()
