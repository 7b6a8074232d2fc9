"""Street scenes drawn from a seed: the data set of whoever has no data set at hand.

A scene is a street in perspective with houses or gardens on both sides, traffic, people and street furniture, seen
through a camera that varies, in weather that varies. Its classes have the names and colors that Cityscapes gives them
and the same long tail: road, building and sky fill the picture, while poles, signs or bicycles are less than a
percent of it. Colors are drawn almost without regard to the class, so that shape and surroundings have to decide.

Drawing is a function of the generator's state alone: the same state gives the same bytes.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.streets.canvas import SUPERSAMPLING, Camera, Canvas, Light, hsv, mix, shade, smooth_noise
from pipeline.datasets.streets.ground_plan import Street, draw_street, furnish
from pipeline.datasets.streets.objects import PAPER, ROAD, SIDEWALK, SKY, VEGETATION, leaf_color, paint_color
from pipeline.samples.catalog import IGNORE_INDEX

CLASSES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "car": (0, 0, 142),
    "bus": (0, 60, 100),
    "bicycle": (119, 11, 32),
}
"""Name and color of each class, in the order of the train ids."""
CLASS_NAMES, COLORS = tuple(CLASSES), tuple(CLASSES.values())

# The sun's direction is drawn with the scene.
WEATHER: tuple[Light, ...] = (
    Light((70, 120, 190), (178, 205, 230), (1.06, 1.03, 0.98), 0.6, 0.55, 0.6, (0, 0), 170),  # noon
    Light((186, 191, 196), (214, 216, 218), (0.95, 0.98, 1.0), 0.3, 0.22, 0.05, (0, 0), 110),  # overcast
    Light((130, 150, 190), (250, 220, 175), (1.1, 1.0, 0.86), 0.4, 0.5, 1.4, (0, 0), 100),  # a low, warm sun
    Light((70, 75, 120), (235, 165, 125), (0.84, 0.72, 0.74), -0.3, 0.3, 1.0, (0, 0), 130),  # dusk
    Light((120, 132, 148), (168, 177, 184), (0.78, 0.84, 0.92), 0.2, 0.18, 0.05, (0, 0), 85),  # haze
)


def draw_weather(rng: np.random.Generator) -> Light:
    """Draw one kind of weather, with the sun in any direction and a brightness of its own."""
    light = WEATHER[rng.choice(5, p=(0.35, 0.25, 0.17, 0.1, 0.13))]
    angle, gain, warmth = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.15), rng.uniform(0.95, 1.05)
    red, green, blue = light.tint
    return replace(
        light,
        zenith=mix(light.zenith, hsv(rng, (0.5, 0.7), (0.1, 0.6), (0.5, 1)), 0.25),
        tint=(red * gain * warmth, green * gain, blue * gain / warmth),
        clouds=light.clouds * rng.uniform(0, 1.4),
        sun=(float(np.cos(angle)), float(np.sin(angle))),
        visibility=light.visibility * rng.uniform(0.7, 1.6),
    )


def draw_camera(rng: np.random.Generator, height: int, width: int) -> Camera:
    """Draw where the camera looks: pitch and heading vary, and with them horizon and vanishing point."""
    return Camera(
        focal=SUPERSAMPLING * height * rng.uniform(1.4, 2.0),
        center=SUPERSAMPLING * width * rng.uniform(0.34, 0.66),
        horizon=SUPERSAMPLING * height * rng.uniform(0.36, 0.52),
        eye=rng.uniform(1.25, 2.3),
    )


def pave(canvas: Canvas, street: Street) -> None:
    """Paint the ground: grass, sidewalks and curbs, asphalt with its stains, and markings."""
    rng, far = canvas.rng, (1.0, street.end + 5)
    canvas.ground((-150, 150), (1.0, 300), leaf_color(rng), VEGETATION)
    asphalt = hsv(rng, (0.08, 0.65), (0, 0.1), (0.25, 0.5))
    paving = mix(asphalt, hsv(rng, (0.02, 0.12), (0, 0.3), (0.4, 0.8)), rng.uniform(0.25, 1))
    outer = street.half + street.walk
    canvas.ground((street.center - outer, street.center + outer), far, paving, SIDEWALK)
    for z in np.arange(3, 30, rng.uniform(1.2, 3)).tolist():
        canvas.ground((street.center - outer, street.center + outer), (z, z + 0.08), shade(paving, 0.7), opacity=0.6)
    canvas.ground((street.center - street.half - 0.18, street.center + street.half + 0.18), far, shade(paving, 1.15))
    canvas.ground((street.center - street.half, street.center + street.half), far, asphalt, ROAD)
    if street.crossing > 0:
        canvas.ground((-150, 150), (street.crossing - 3.6, street.crossing + 3.6), asphalt, ROAD)
    for _ in range(int(rng.integers(2, 8))):
        x, z = street.center + rng.uniform(-0.9, 0.6) * street.half, rng.uniform(4, 30)
        patch = (x, x + rng.uniform(0.5, 2.5)), (z, z + rng.uniform(0.6, 8))
        canvas.ground(*patch, shade(asphalt, rng.uniform(0.6, 1.35)), opacity=0.5)
    paint_markings(canvas, street)
    canvas.roughen_ground(rng.uniform(0.03, 0.09))


def paint_markings(canvas: Canvas, street: Street) -> None:
    """Paint lane markings: dashes or a line in the middle, sometimes lines at the edges and a zebra crossing."""
    rng, worn = canvas.rng, canvas.rng.uniform(0.4, 0.95)
    dash, period = ((3.0, 7.0), (2.0, 4.0), (8.0, 8.0))[rng.integers(3)]
    for z in np.arange(rng.uniform(1, 4), street.end, period).tolist():
        if street.is_clear(z):
            canvas.ground((street.center - 0.09, street.center + 0.09), (z, z + dash), PAPER, opacity=worn)
    if rng.random() < 0.35:
        for side in (-1, 1):
            x = street.curb(side) - side * rng.uniform(0.4, 2.2)
            canvas.ground((x - 0.07, x + 0.07), (1, street.end), PAPER, opacity=worn)
    if rng.random() < 0.4:
        z = street.crossing - 7 if street.crossing > 16 else rng.uniform(7, 20)
        for x in np.arange(street.curb(-1) + 0.4, street.curb(1) - 0.5, 1.1).tolist():
            canvas.ground((x, x + 0.55), (z, z + 3), PAPER, opacity=worn)


def mount_hood(canvas: Canvas) -> None:
    """Paint the hood of the camera's own car into the lower edge; it belongs to no class."""
    rng, (wide, high) = canvas.rng, canvas.image.size
    rise, left, color = rng.uniform(0.05, 0.11), rng.uniform(-0.3, -0.2), paint_color(rng)
    for step in (1.0, 0.75, 0.45):
        red, green, blue = shade(color, 1.05 - 0.35 * step)
        bounds = (wide * left, high * (1 - step * rise), wide * (left + 1.5), high * 1.5)
        canvas.ink.ellipse(bounds, fill=(int(red), int(green), int(blue)))
        canvas.label_ink.ellipse(bounds, fill=IGNORE_INDEX)


def blur_borders(rng: np.random.Generator, labels: NDArray[np.uint8]) -> None:
    """Set borders between classes to void in some places, where an annotator would not have been sure."""
    border = np.zeros(labels.shape, dtype=bool)
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[1:] |= labels[1:] != labels[:-1]
    unsure = smooth_noise(rng, *labels.shape, cell=labels.shape[0] / 8) > rng.uniform(0.7, 1.7)
    labels[border & unsure] = IGNORE_INDEX


def draw_scene(rng: np.random.Generator, *, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one street scene.

    Args:
        rng: The only source of chance: the same state draws the same scene.
        height: Pixels. How much is seen upward and downward does not depend on it.
        width: Pixels. A wider picture shows more to the sides, as a wider sensor would.

    Returns:
        The image, (height, width, 3) uint8 RGB, and its labels, (height, width) uint8: train ids into `CLASS_NAMES`,
        or 255 where no class applies (the hood of the camera's own car, clutter, uncertain borders).
    """
    street = draw_street(rng)
    houses, things = furnish(rng, street)
    camera, light = draw_camera(rng, height, width), draw_weather(rng)
    canvas = Canvas.under_sky(rng, camera, light, height=height, width=width, label=SKY)
    pave(canvas, street)
    canvas.cast_shadows([thing.box for thing in (*houses, *things) if thing.box.z < 60])
    for thing in (*houses, *things):
        thing.draw(canvas, thing.box)
    if rng.random() < 0.35:
        mount_hood(canvas)
    labels = canvas.read_labels()
    blur_borders(rng, labels)
    return canvas.develop(contrast=rng.uniform(0.8, 1.15), noise=rng.uniform(1.5, 5)), labels
