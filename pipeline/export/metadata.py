"""What a file says of itself: all that whoever runs it alone has to know."""

import json
from typing import Any

from pipeline.models.checkpoints import Checkpoint


def describe_checkpoint(checkpoint: Checkpoint, *, sha256: str) -> dict[str, str]:
    """Return texts of JSON by key.

    Args:
        checkpoint: what is exported.
        sha256: of its file.
    """
    normalization = checkpoint.network.backbone.normalization
    values: dict[str, Any] = {
        "format_version": 1,
        "class_names": checkpoint.class_names,
        "colors": checkpoint.colors,
        "protocol": checkpoint.protocol.model_dump(mode="json"),
        "licence": checkpoint.network.backbone.licence,
        # Where weights came from may be a path of the machine that trained; the licence says what matters.
        "model": checkpoint.model_params.model_dump(mode="json", exclude={"weights"}),
        "mean": normalization.mean,
        "std": normalization.std,
        "checkpoint_sha256": sha256,
    }
    return {key: json.dumps(value) for key, value in values.items()}
