"""Every name that a user can choose has its line in the tables that say what it does, and no line is out of reach."""

from collections.abc import Iterable
from typing import Any, get_args

import pytest

from pipeline.calibration.calibrator import FIT, Calibrator
from pipeline.datasets.find import FINDERS
from pipeline.labeling.solve import METHODS
from pipeline.models.build import BUILDERS
from pipeline.params import DataParams, DataSetName, ModelParams, Params
from pipeline.report import findings
from pipeline.schema import Section


def choices(section: type[Section], name: str) -> set[Any]:
    return set(get_args(section.model_fields[name].annotation))


TABLES: dict[str, tuple[Iterable[Any], set[Any]]] = {
    "pipeline/datasets/find.py": (FINDERS, set(get_args(DataSetName))),
    # A folder of one's own says in its classes.yaml what others say in a section.
    "pipeline/params.py, DataParams": ({"folder", *DataParams.model_fields} & set(FINDERS), set(get_args(DataSetName))),
    "pipeline/labeling/solve.py": (METHODS, choices(Params, "method")),
    "pipeline/report/findings.py": (findings.METHODS, choices(Params, "method")),
    "pipeline/calibration/calibrator.py, FIT": ({"none", *FIT}, choices(Params, "calibration")),
    "pipeline/calibration/calibrator.py, Calibrator": (
        {name for fitted in get_args(Calibrator) for name in choices(fitted, "method")},
        choices(Params, "calibration"),
    ),
    "pipeline/models/build.py": (BUILDERS, choices(ModelParams, "network")),
}
"""Where a name has a line, with the names found there and those that `params.yaml` may hold."""


@pytest.mark.parametrize("table", TABLES)
def test_a_name_that_can_be_chosen_has_its_line_and_the_other_way_round(table: str) -> None:
    found, allowed = TABLES[table]
    missing, unknown = allowed - set(found), set(found) - allowed
    assert not missing, f"{table} - add {', '.join(sorted(missing))}"
    assert not unknown, f"pipeline/params.py - add {', '.join(sorted(unknown))}, as {table} has it"
