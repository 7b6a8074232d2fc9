"""How large the store of a trained teacher's softmax maps is; of random maps it would say nothing."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.inference.quantize import quantize
from pipeline.params import StoreParams
from pipeline.softmax_store.reader import SoftmaxStore
from pipeline.softmax_store.writer import SoftmaxStoreWriter
from tests.benchmarks.measure import MEBIBYTE
from tests.workspace import ROOT

STORE = ROOT / "data/rounds/1/softmax.zarr"


def sizes(folder: Path) -> Iterator[str]:
    """Write the default experiment's store anew at two floors; yield a line each, or say what is missing."""
    if not STORE.exists():
        yield "Store size: run the experiment first (`make repro`); it takes a trained teacher."
        return
    store = SoftmaxStore(STORE)
    pixels = int(store.sizes.prod(axis=1).sum())
    for floor in (0.0, 1e-3):
        writer = SoftmaxStoreWriter(
            folder / str(floor),
            image_ids=store.image_ids,
            sizes=[store.size(index) for index in range(len(store.image_ids))],
            class_names=store.class_names,
            params=StoreParams(average="probabilities", dtype="float16", floor=floor, keep="all", shard_mib=64.0),
            attributes={},
        )
        for shard, rows in enumerate(writer.shards):
            writer.write_shard(
                shard, [quantize(store.softmax(row).astype("float32"), floor=floor, dtype="float16", keep="all") for row in rows]
            )
        raw = pixels * 2 * store.num_classes
        for name in ("softmax", "prediction", "confidence", "confidence_counts"):
            size = sum(file.stat().st_size for file in (writer.path / name).rglob("*") if file.is_file())
            beside = f", {raw / size:.1f} times smaller than its float16 values" if name == "softmax" else ""
            yield f"Store size, floor {floor:g}: `{name}` {size / MEBIBYTE:.2f} MiB, {size / pixels:.3f} bytes per pixel{beside}."
