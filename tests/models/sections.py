from typing import Any

from pipeline.params import ModelParams


def model_params(**changes: Any) -> ModelParams:
    values: dict[str, Any] = {
        "network": "pspnet",
        "backbone": "tiny",
        "output_stride": 4,
        "bins": (1, 2, 3, 6),
        "head_width": 48,
        "dropout": 0.1,
        "auxiliary": True,
        "weights": "none",
    }
    return ModelParams(**{**values, **changes})
