"""`streets` on disk: every scene as an image and a label PNG, drawn from (seed, part, index)."""

from pathlib import Path

from PIL import Image

from pipeline.datasets.data_set import DataSet, Pair
from pipeline.datasets.streets.scene import CLASS_NAMES, COLORS, draw_scene
from pipeline.params import StreetsParams
from pipeline.randomness import keyed_generator
from pipeline.samples.catalog import IGNORE_INDEX, Catalog
from pipeline.samples.images import write_label_png


def draw_streets(folder: Path, params: StreetsParams) -> DataSet:
    """Draw the data set into `folder/images` and `folder/labels`.

    Every scene is a function of (seed, part, index): more images never change the earlier ones, and train and val are
    independent draws.
    """
    images, labels = folder / "images", folder / "labels"
    for made in (images, labels):
        made.mkdir(parents=True, exist_ok=True)
    parts: dict[str, dict[str, Pair]] = {"train": {}, "val": {}}
    for part, count in (("train", params.train_images), ("val", params.val_images)):
        for index in range(count):
            image_id = f"{part}_{index:05d}"
            rng = keyed_generator(params.seed, "streets", part, index)
            image, label_map = draw_scene(rng, height=params.height, width=params.width)
            pair = Pair(images / f"{image_id}.png", labels / f"{image_id}.png")
            Image.fromarray(image).save(pair.image, format="PNG")
            write_label_png(labels / f"{image_id}.png", label_map, COLORS)
            parts[part][image_id] = pair
    train_ids = {index: index for index in (*range(len(CLASS_NAMES)), IGNORE_INDEX)}
    catalog = Catalog(name="streets", class_names=CLASS_NAMES, colors=COLORS, train_ids=train_ids)
    return DataSet(catalog, train=parts["train"], val=parts["val"])
