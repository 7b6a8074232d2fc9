"""Stage `calibrate`: how the teacher's probabilities are calibrated before pixels are selected (Sec. 3.2)."""

from pathlib import Path

import click

from pipeline.calibration.calibrator import write_calibrator
from stages.door import NEW, load_params, one_line_errors


@click.command()
@click.option("--calibrator", type=NEW, required=True, help="Calibrator to write.")
@one_line_errors
def main(calibrator: Path) -> None:
    """Write the calibrator of a round."""
    write_calibrator(calibrator, load_params().calibration)


if __name__ == "__main__":
    main()
