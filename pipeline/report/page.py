"""The page."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruamel.yaml import YAML

from pipeline.comparison.rows import data_set_label
from pipeline.report.comparison_tables import comparison_tables
from pipeline.report.figures import class_distributions, class_iou, training_curves, validation_curves
from pipeline.report.findings import facts, summary, tiles
from pipeline.report.label_figures import accuracy_by_region, confidence_histograms, reliability
from pipeline.report.label_tables import group_table, overlap_table
from pipeline.report.pictures import pseudo_label_rows, suggestion_rows, validation_rows
from pipeline.report.record import Experiment
from pipeline.report.tables import css_color, iou_table, rounds_table, selection_table
from pipeline.samples.images import NO_LABEL_COLOR


def build_page(experiment: Experiment, settings: Mapping[str, Any], *, tables: Path, suggestions: Path, pictures: int) -> str:
    """Build the page as HTML that loads nothing, with at most `pictures` rows of unlabeled images.

    It prints `settings`, the parameters nested by section, the comparisons of other experiments in the folder `tables`, and of
    those in the folder `suggestions` the tables of this experiment.
    """
    files = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=files, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    catalog = experiment.catalog
    sections = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    experiment_wide = {name: value for name, value in settings.items() if name not in sections}
    return environment.get_template("page.html.j2").render(
        title=f"{'Control' if settings['method'] == 'none' else settings['method'].upper()} on {catalog.name}",
        method=settings["method"],
        facts=facts(experiment, settings),
        tiles=tiles(experiment),
        summary=summary(experiment),
        rounds=rounds_table(experiment),
        iou=iou_table(experiment),
        selections=[(student.label, selection_table(experiment, student)) for student in experiment.students],
        distributions=class_distributions(experiment),
        curves=training_curves(experiment),
        validation_curves=validation_curves(experiment),
        class_iou=class_iou(experiment),
        groups=group_table(experiment),
        overlap=overlap_table(experiment),
        confidences=confidence_histograms(experiment),
        reliability=reliability(experiment),
        regions=accuracy_by_region(experiment),
        comparisons=comparison_tables(tables, data_set_label(settings["data"])),
        legend=[
            *zip(catalog.class_names, map(css_color, catalog.colors), strict=True),
            ("no label, or ignored", css_color(NO_LABEL_COLOR)),
        ],
        validation=validation_rows(experiment),
        pseudo_labels=pseudo_label_rows(experiment, pictures),
        suggestions=suggestion_rows(experiment, suggestions),
        settings=[(name, describe_setting(value)) for name, value in {"experiment": experiment_wide, **sections}.items()],
    )


def describe_setting(section: Mapping[str, object]) -> str:
    """Spell a section of parameters in YAML, one to a line."""
    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel's types know None alone
    yaml.dump(section, text)
    return text.getvalue().rstrip()
