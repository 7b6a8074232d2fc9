import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.comparison.rows import MEASURES, Comparison, Result, build_rows
from pipeline.report.page import build_page, describe_setting
from pipeline.schema import read_yaml_text
from tests.report.cases import Case, read_case

CASES = {
    "usual": Case(),
    "control": Case(method="none"),
    "st": Case(method="st"),
    "cbst": Case(method="cbst"),
    "a class never predicted": Case(unpredicted=(1, 3)),
    "a class that does not occur": Case(absent=(2,)),
    "only tail classes absent": Case(absent=(2, 3)),
    "no true labels known": Case(truth=False),
    "no pictures": Case(examples=0),
    "no rounds": Case(keys=()),
    "one round": Case(keys=("1",)),
    "ten rounds": Case(keys=[str(key) for key in range(1, 11)]),
    "one class": Case(class_names=("all",)),
    "21 classes": Case(class_names=[f"class {index}" for index in range(21)]),
    "a curve without a row": Case(curve_rows=0),
    "validation curves": Case(snapshots=5),
}


class Page(HTMLParser):
    """What the tests ask of a page."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.rows: list[list[int]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows.append([])
        elif tag == "tr":
            self.rows[-1].append(0)
        elif tag in {"td", "th"}:
            self.rows[-1][-1] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.tags if name in attrs]


def build(folder: Path, case: Case, pictures: int = 2) -> str:
    return build_page(
        read_case(folder, case), case.settings, tables=folder / "tables", suggestions=folder / "suggestions", pictures=pictures
    )


@pytest.mark.parametrize("name", CASES)
def test_a_page_is_whole_and_loads_nothing(name: str, tmp_path: Path) -> None:
    text = build(tmp_path, CASES[name])
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "base"}
    assert all(value.startswith("data:") for value in page.attributes("src"))
    assert all(value.startswith(("#", "data:")) for value in page.attributes("href"))
    assert not re.search(r"https?:|url\(|@import|\bNone\b|\bnan\b", text)
    assert {value[1:] for value in page.attributes("href") if value.startswith("#")} <= set(page.attributes("id"))
    assert all(attrs["alt"].strip() for tag, attrs in page.tags if tag == "img")
    assert all(len(set(rows)) == 1 for rows in page.rows)


@pytest.mark.parametrize("name", ["usual", "control"])
def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(name: str, tmp_path: Path) -> None:
    assert build(tmp_path / "here", CASES[name]) == build(tmp_path / "there", CASES[name])


def test_names_of_classes_are_escaped(tmp_path: Path) -> None:
    text = build(tmp_path, Case(class_names=("<script>alert(1)</script>", '"><b>', "a & b")))
    assert "<script" not in text
    assert html.escape("<script>alert(1)</script>") in text
    assert "a &amp; b" in text


def test_the_control_is_called_a_control_and_others_name_it(tmp_path: Path) -> None:
    command = "dvc exp run -n none -S method=none"
    assert command in build(tmp_path / "dars", Case())
    control = build(tmp_path / "none", Case(method="none"))
    assert command not in control
    assert "This run is the control" in control
    assert "There are no pseudo labels to show" in control


def test_a_section_of_settings_reads_like_params_yaml() -> None:
    section = {"steps": None, "flip": True, "scales": [1.0], "streets": {"seed": 0}, "name": "x", "decay": 1e-4}
    lines = ["steps: null", "flip: true", "scales:", "- 1.0", "streets:", "  seed: 0", "name: x", "decay: 0.0001"]
    assert describe_setting(section).splitlines() == lines
    assert read_yaml_text(describe_setting(section), where="here") == section


def test_comparisons_on_the_same_data_set_are_shown_and_others_are_not(tmp_path: Path) -> None:
    results = [
        Result(run, key, seed, {**dict.fromkeys(MEASURES, 0.5), "mean_iou": gain + seed / 100})
        for run, gain in (("none", 0.2), ("<dars>", 0.3))
        for key in ("0", "1")
        for seed in (0, 1, 2)
    ]
    rows = tuple(build_rows(results, controls={"<dars>": ["none"]}))
    (tmp_path / "tables").mkdir()
    for name, data_set in (("table4", "streets"), ("table5", "camvid")):
        table = Comparison(name=name, title=f"All of {name}", data_set=data_set, controls=("none",), rows=rows)
        table.write(tmp_path / f"tables/{name}.json")
    text = build(tmp_path, Case())
    assert "All of table4" in text
    assert "All of table5" not in text
    assert "&lt;dars&gt;" in text
    assert "+10.0 (+10.0 to +10.0)*" in text
    assert all(len(set(rows)) == 1 for rows in Page(text).rows)
    assert 'href="#comparisons"' in text
    assert 'href="#comparisons"' not in build(tmp_path / "no tables", Case())
