"""What the tools' libraries write of known masks: `ANNOTATION_TOOLS_PYTHON=... python -m tests.annotations.record`."""

import base64
import json
import os
import zlib
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.annotations.cases import export, write_experiment
from tests.annotations.test_round_trip import CASES, ENDINGS, RECORD, by_the_tool


def main() -> None:
    """Write the record."""
    record = {}
    for name, classes in CASES:
        with TemporaryDirectory() as folder, chdir(folder):
            write_experiment(Path(folder), classes)
            assert export(name).exit_code == 0
            corrected = Path(folder) / f"corrected{ENDINGS[name]}"
            by_the_tool(os.environ["ANNOTATION_TOOLS_PYTHON"], name, Path(folder) / "out", corrected)
            record[f"{name} {classes[0]}"] = base64.b64encode(zlib.compress(corrected.read_bytes(), 9)).decode()
    RECORD.write_text(f"{json.dumps(record, indent=1)}\n")


if __name__ == "__main__":
    main()
