"""What stands in a street, and how it is painted: the repertoire of the `streets` data set.

Every `draw_` function paints one thing into its box. Colors come from the canvas's generator, and the same few
functions choose them for cars, coats, shop fronts and fences alike: no class can be told by its color alone.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.datasets.streets.canvas import SUPERSAMPLING, Box, Canvas, Color, Panel, Span, hsv, mix, shade
from pipeline.samples.catalog import IGNORE_INDEX

# Train ids, in the order of `CLASS_NAMES` in scene.py.
ROAD, SIDEWALK, BUILDING, FENCE, POLE, LIGHT, SIGN, VEGETATION, SKY, PERSON, CAR, BUS, BICYCLE = range(13)

PAPER, INK, RED = (238, 238, 234), (28, 28, 32), (200, 36, 40)
WALLS = (
    ((0.03, 0.16), (0.1, 0.5), (0.5, 0.95)),  # plaster, as ranges of hue, saturation and value
    ((0.0, 0.05), (0.35, 0.65), (0.3, 0.6)),  # brick
    ((0.0, 1.0), (0.0, 0.15), (0.3, 0.85)),  # concrete
)


def paint_color(rng: np.random.Generator) -> Color:
    """Draw the color of something that people paint: half the time colorful, otherwise white, gray or black."""
    if rng.random() < 0.5:
        return hsv(rng, saturation=(0.25, 0.85), value=(0.2, 0.85))
    return hsv(rng, saturation=(0, 0.12), value=(0.12, 0.95))


def plate(x: float, z: float, middle: float, width: float, height: float) -> Panel:
    """Return an upright panel of the given size that hangs at the height `middle`, and looks at the camera."""
    left, right, low, high = x - width / 2, x + width / 2, middle - height / 2, middle + height / 2
    return Panel(((left, low, z), (right, low, z), (right, high, z), (left, high, z)))


@dataclass(frozen=True)
class Facade:
    """What the sides of one house have in common. Lengths in meters; `wide` and `high` are shares of a bay."""

    wall: Color
    glass: Color
    frame: Color
    shop: Color | None
    storey: float
    bay: float
    wide: float
    high: float
    lit: float


def draw_building(canvas: Canvas, box: Box) -> None:
    """Paint a house: plaster, brick or concrete, windows in rows or bands, often a shop below or a roof on top."""
    rng = canvas.rng
    wall = hsv(rng, *WALLS[rng.integers(3)])
    facade = Facade(
        wall=wall,
        glass=hsv(rng, (0.52, 0.66), (0.05, 0.45), (0.15, 0.7)),
        frame=mix(wall, PAPER, rng.uniform(-0.3, 0.7)),
        shop=paint_color(rng) if rng.random() < 0.45 else None,
        storey=rng.uniform(2.9, 3.6),
        bay=1000.0 if rng.random() < 0.2 else rng.uniform(1.9, 3.2),  # a bay without end: a band of glass
        wide=rng.uniform(0.35, 0.65),
        high=rng.uniform(0.4, 0.65),
        lit=0.35 if canvas.light.clouds < 0 else 0.04,
    )
    if rng.random() < 0.45:
        tiles, rise = hsv(rng, (0, 0.08), (0.1, 0.6), (0.25, 0.6)), 1 + rng.uniform(1.5, 3.5) / box.height
        for _, panel in box.faces(up=(1, rise), lean=(0.12, 0.12), tuck=rng.uniform(0.3, 0.9)):
            canvas.rectangle(panel, tiles, BUILDING)
    for side, panel in box.faces():
        canvas.rectangle(panel, wall, BUILDING)
        if side != "top":
            canvas.rectangle(panel, shade(wall, 0.75), up=(0.97, 1))
            draw_windows(canvas, panel, facade, floors=max(1, round(box.height / facade.storey)))


def draw_windows(canvas: Canvas, panel: Panel, facade: Facade, *, floors: int) -> None:
    """Paint the windows of one side of a house, and its shop."""
    rng, first = canvas.rng, 0
    if facade.shop is not None:
        first = 1
        canvas.rectangle(panel, mix(INK, facade.glass, 0.4), across=(0.04, 0.96), up=(0.01, 0.7 / floors))
        canvas.rectangle(panel, facade.shop, across=(0.02, 0.98), up=(0.7 / floors, 0.95 / floors))
    nearest = max(3.0, min(point[2] for point in panel.corners))
    columns, share = max(1, round(panel.length / facade.bay)), facade.wide
    if columns == 1 or canvas.camera.focal * facade.bay / nearest < 3.5 * SUPERSAMPLING:
        columns, share = 1, 0.88  # far away the windows of a floor run together
    for floor in range(first, floors):
        up = (floor + 0.25) / floors, (floor + 0.25 + facade.high) / floors
        for column in range(columns):
            left, right = (column + 0.5 - share / 2) / columns, (column + 0.5 + share / 2) / columns
            if columns > 1 and nearest < 14:
                canvas.rectangle(panel, facade.frame, across=(left - 0.008, right + 0.008), up=(up[0] - 0.01, up[1]))
            pane = (250, 215, 140) if rng.random() < facade.lit else shade(facade.glass, rng.uniform(0.8, 1.2))
            canvas.rectangle(panel, pane, across=(left, right), up=up)


def draw_leaves(canvas: Canvas, middle: tuple[float, float, float], radius: Span, color: Color, *, count: int) -> None:
    """Paint a crown as a cloud of leaves, darker below and lighter toward the sky."""
    x, y, z = middle
    canvas.ball(middle, (0.8 * radius[0], 0.8 * radius[1]), shade(color, 0.7), VEGETATION)
    angles, reaches = canvas.rng.uniform(0, 2 * np.pi, count), np.sqrt(canvas.rng.random(count))
    sizes, tones = canvas.rng.uniform(0.08, 0.3, count), canvas.rng.uniform(0.75, 1.15, count)
    us, vs = reaches * np.cos(angles), reaches * np.sin(angles)
    for u, v, size, tone in zip(us.tolist(), vs.tolist(), sizes.tolist(), tones.tolist(), strict=True):
        spot = (x + 0.85 * u * radius[0], y + 0.85 * v * radius[1], z)
        canvas.ball(spot, (size * radius[0], size * radius[1]), shade(color, tone * (1 + 0.35 * v)), VEGETATION)


def leaf_color(rng: np.random.Generator) -> Color:
    """Draw a green, or now and then an autumn color."""
    hue = (0.06, 0.15) if rng.random() < 0.15 else (0.18, 0.35)
    return hsv(rng, hue, (0.3, 0.7), (0.25, 0.6))


def draw_tree(canvas: Canvas, box: Box, *, trunk: float = 0.33) -> None:
    """Paint a tree: its trunk, a fraction of its height, which could pass for a post, and its crown."""
    bare, radius = trunk * box.height, (1 - trunk) / 2 * box.height
    bark = hsv(canvas.rng, (0.05, 0.1), (0.1, 0.5), (0.2, 0.4))
    canvas.line(((box.x, 0, box.z), (box.x, bare + 0.5, box.z)), canvas.rng.uniform(0.2, 0.5), bark, VEGETATION)
    middle = (box.x, bare + radius, box.z)
    draw_leaves(canvas, middle, (box.width / 2, radius), leaf_color(canvas.rng), count=int(10 + 500 / (box.z + 4)))


def draw_hedge(canvas: Canvas, box: Box, *, color: Color) -> None:
    """Paint a clipped hedge, as long and as high as a fence."""
    for _, panel in box.faces(up=(0, 0.9)):
        canvas.rectangle(panel, shade(color, 0.8), VEGETATION)
        if box.z < 30:
            for s, t in canvas.rng.random((7, 2)).tolist():
                size = 0.14 * box.height * (1 + t)
                canvas.ball(panel.at(s, 0.2 + 0.75 * t), (size, size), shade(color, 0.7 + 0.45 * t), VEGETATION)


def draw_fence(canvas: Canvas, box: Box, *, style: str, color: Color) -> None:
    """Paint a length of fence: a wall, planks, or bars through which one sees."""
    for _, panel in box.faces():
        solid = style != "bars"
        canvas.rectangle(panel, color if solid else None, FENCE)
        if panel.length < 1:
            continue
        if style == "wall":
            canvas.rectangle(panel, shade(color, 1.25), up=(0.88, 1))
            for t in (0.22, 0.44, 0.66):
                canvas.rectangle(panel, shade(color, 0.85), up=(t, t + 0.04))
        elif style == "planks":
            for s in np.arange(0, 1, 0.125).tolist():
                canvas.rectangle(panel, shade(color, 0.7), across=(s, s + 0.03))
        else:
            for s in np.arange(0, 1, 0.125).tolist():
                canvas.rectangle(panel, color, across=(s, s + 0.045))
            for t in (0.1, 0.9):
                canvas.rectangle(panel, color, up=(t - 0.05, t + 0.05))


def draw_wheels(canvas: Canvas, panel: Panel, *, at: tuple[float, float], radius: float, rise: float, label: int) -> None:
    """Paint the wheels on the side of a vehicle whose panel begins `rise` meters above the ground."""
    height = panel.corners[3][1] - panel.corners[0][1]
    for s in at:
        spot = (s, (radius - rise) / height)
        canvas.disc(panel, spot, (radius / panel.length, radius / height), INK, label)
        canvas.disc(panel, spot, (0.5 * radius / panel.length, 0.5 * radius / height), (150, 150, 155))


def draw_ends(canvas: Canvas, side: str, panel: Panel) -> None:
    """Paint the lamps and the number plate on the front or the rear of a vehicle."""
    height = panel.corners[3][1] - panel.corners[0][1]
    lamp = (245, 240, 215) if side == "front" else (190, 30, 30)
    for s in (0.04, 0.78):
        canvas.rectangle(panel, lamp, across=(s, s + 0.18), up=(0.36 / height, 0.5 / height))
    canvas.rectangle(panel, PAPER, across=(0.36, 0.64), up=(0.18 / height, 0.28 / height))


def draw_car(canvas: Canvas, box: Box) -> None:
    """Paint a car: a saloon, a hatchback, or a van that is as boxy as a bus."""
    rng = canvas.rng
    paint, glass = paint_color(rng), hsv(rng, (0.5, 0.65), (0.05, 0.35), (0.12, 0.4))
    van = box.height > 1.75
    cabin = (0.0, 0.82) if van else (float(rng.choice((0.02, 0.16))), 0.76)
    rise, waist = 0.2, 0.56
    for side, panel in box.faces(up=(rise / box.height, waist), tuck=0.04):
        canvas.rectangle(panel, paint, CAR)
        if side in ("left", "right"):
            canvas.rectangle(panel, shade(paint, 0.55), up=(0, 0.16))
            draw_wheels(canvas, panel, at=(0.19, 0.81), radius=0.34, rise=rise, label=CAR)
        elif side != "top":
            canvas.rectangle(panel, shade(paint, 0.4), up=(0, 0.25))
            draw_ends(canvas, side, panel)
    for side, panel in box.faces(cabin, (waist, 1), (0.02 if van else 0.1, 0.17), tuck=0.16):
        canvas.rectangle(panel, paint, CAR)
        if side in ("left", "right"):
            blind = van and rng.random() < 0.6
            panes = ((0.7, 0.94),) if blind else ((0.06, 0.47), (0.52, 0.94))
            for across in panes:
                canvas.rectangle(panel, glass, across=across, up=(0.12, 0.86))
        elif side != "top":
            canvas.rectangle(panel, glass, across=(0.07, 0.93), up=(0.1, 0.88))


def draw_bus(canvas: Canvas, box: Box) -> None:
    """Paint a bus: a box with a band of windows, like a low facade on wheels."""
    rng = canvas.rng
    paint, stripe, glass = paint_color(rng), paint_color(rng), hsv(rng, (0.5, 0.65), (0.05, 0.3), (0.12, 0.4))
    for side, panel in box.faces(up=(0.07, 1)):
        canvas.rectangle(panel, paint, BUS)
        if side == "top":
            continue
        canvas.rectangle(panel, stripe, up=(0.12, 0.32))
        if side in ("left", "right"):
            for k in range(7):
                canvas.rectangle(panel, glass, across=(k / 7 + 0.01, (k + 1) / 7 - 0.01), up=(0.45, 0.85))
            draw_wheels(canvas, panel, at=(0.2, 0.78), radius=0.5, rise=0.07 * box.height, label=BUS)
        else:
            canvas.rectangle(panel, glass, across=(0.06, 0.94), up=(0.4, 0.82))
            canvas.rectangle(panel, (240, 170, 60), across=(0.25, 0.75), up=(0.86, 0.95))
            draw_ends(canvas, side, panel)


def draw_person(canvas: Canvas, box: Box) -> None:
    """Paint somebody on foot, walking or standing, in trousers or a coat."""
    rng, panel = canvas.rng, box.billboard()
    skin, hair = hsv(rng, (0.04, 0.09), (0.3, 0.6), (0.3, 0.9)), hsv(rng, (0.02, 0.12), (0.1, 0.6), (0.08, 0.6))
    coat, trousers = paint_color(rng), hsv(rng, saturation=(0, 0.5), value=(0.1, 0.5))
    stride, hem = rng.uniform(0.0, 0.24), rng.uniform(0.25, 0.48)
    for foot in (0.4 - stride, 0.6 + stride):
        canvas.shape(panel, ((0.32, 0.5), (0.68, 0.5), (foot + 0.1, 0), (foot - 0.12, 0)), trousers, PERSON)
    for hand in (0.12 - stride / 3, 0.88 + stride / 3):
        inner = 0.34 if hand < 0.5 else 0.66
        canvas.shape(panel, ((inner, 0.82), (hand, 0.44), (hand + 0.1, 0.42), (0.5, 0.8)), shade(coat, 0.8), PERSON)
    canvas.shape(panel, ((0.26, hem), (0.74, hem), (0.76, 0.8), (0.6, 0.85), (0.4, 0.85), (0.24, 0.8)), coat, PERSON)
    canvas.disc(panel, (0.5, 0.93), (0.17, 0.085), hair, PERSON)
    canvas.disc(panel, (0.5, 0.905), (0.13, 0.065), skin if rng.random() < 0.6 else hair, PERSON)


def draw_bicycle(canvas: Canvas, box: Box, *, ridden: bool) -> None:
    """Paint a bicycle, seen more or less from the side; if it is ridden, its rider is a person."""
    rng, panel = canvas.rng, box.billboard()
    paint, coat = paint_color(rng), paint_color(rng)
    flip = bool(rng.random() < 0.5)

    def spot(s: float, meters: float) -> tuple[float, float]:
        return (1 - s if flip else s), meters / box.height

    def tube(*spots: tuple[float, float], color: Color = paint, width: float = 0.07, label: int = BICYCLE) -> None:
        canvas.line([panel.at(*spot(s, meters)) for s, meters in spots], width, color, label)

    for s in (0.2, 0.8):
        rim = canvas.disc(panel, spot(s, 0.35), (0.2, 0.35 / box.height), None, BICYCLE)
        canvas.line([*rim, rim[0]], 0.07, INK, BICYCLE)
    tube((0.2, 0.35), (0.47, 0.33), (0.7, 0.82), (0.38, 0.82), (0.2, 0.35))
    tube((0.47, 0.33), (0.36, 0.95))
    tube((0.8, 0.35), (0.68, 1.05), (0.6, 1.05))
    if ridden:
        tube((0.38, 0.98), (0.54, 0.7), (0.48, 0.3), color=shade(coat, 0.5), width=0.16, label=PERSON)
        tube((0.56, 1.4), (0.66, 1.08), color=shade(coat, 0.8), width=0.1, label=PERSON)
        tube((0.37, 0.95), (0.55, 1.45), color=coat, width=0.34, label=PERSON)
        canvas.disc(panel, spot(0.6, 1.65), (0.13 / box.width, 0.14 / box.height), hsv(rng, (0, 0.1)), PERSON)


def draw_post(canvas: Canvas, box: Box) -> None:
    """Paint a bare post; a tall one carries a street lamp."""
    gray = hsv(canvas.rng, saturation=(0, 0.2), value=(0.2, 0.75))
    top = (box.x, box.height, box.z)
    canvas.line(((box.x, 0, box.z), top), box.width, gray, POLE)
    if box.height > 4:
        reach = float(np.sign(-box.x)) * canvas.rng.uniform(0.8, 1.8)
        end = (box.x + reach, box.height + 0.2, box.z)
        canvas.line((top, end), 0.12, gray, POLE)
        canvas.ball(end, (0.4, 0.12), (250, 225, 160) if canvas.light.clouds < 0 else shade(gray, 1.2), POLE)


def draw_signal(canvas: Canvas, box: Box) -> None:
    """Paint a traffic light: a head on the post, often one on an arm over the road, now and then a sign below."""
    rng = canvas.rng
    gray, case = hsv(rng, saturation=(0, 0.15), value=(0.2, 0.6)), hsv(rng, (0.1, 0.4), (0, 0.4), (0.08, 0.3))
    canvas.line(((box.x, 0, box.z), (box.x, box.height, box.z)), box.width, gray, POLE)
    heads = [plate(box.x, box.z, min(2.9, box.height - 0.5), 0.5, 1.3)]
    if box.height > 4.2:
        end = box.x - float(np.sign(box.x)) * rng.uniform(1.5, 3.5)
        canvas.line(((box.x, box.height - 0.2, box.z), (end, box.height - 0.1, box.z)), 0.14, gray, POLE)
        heads.append(plate(end, box.z, box.height - 0.5, 0.5, 1.3))
    if rng.random() < 0.25:
        draw_sign_plate(canvas, box.x, 1.7, box.z)
    lamps = ((0.8, (255, 60, 40)), (0.5, (255, 190, 40)), (0.2, (60, 235, 130)))
    burning, reverse = int(rng.integers(3)), bool(rng.random() < 0.2)
    for head in heads:
        canvas.rectangle(head, case, LIGHT)
        for k, (t, color) in enumerate(lamps):
            if not reverse:
                canvas.disc(head, (0.5, t), (0.36, 0.14), color if k == burning else shade(color, 0.25))


def draw_sign(canvas: Canvas, box: Box) -> None:
    """Paint a post with one or two traffic signs."""
    gray = hsv(canvas.rng, saturation=(0, 0.1), value=(0.35, 0.7))
    canvas.line(((box.x, 0, box.z), (box.x, box.height, box.z)), box.width, gray, POLE)
    middle = box.height - 0.45
    for _ in range(int(canvas.rng.integers(1, 3))):
        middle -= draw_sign_plate(canvas, box.x, middle, box.z)


def draw_sign_plate(canvas: Canvas, x: float, middle: float, z: float) -> float:
    """Paint a traffic sign, round, triangular, square or a board with place names, and return its height."""
    rng = canvas.rng
    kind, size = int(rng.integers(5)), rng.uniform(0.75, 1.05)
    ground = ((30, 80, 170), (240, 190, 30), (30, 120, 80), PAPER, RED)[rng.integers(5)]
    if rng.random() < 0.15:
        ground = (135, 138, 140)  # seen from behind
    panel = plate(x, z, middle, 2 * size if kind == 4 else size, size)
    if kind == 0:
        canvas.disc(panel, (0.5, 0.5), (0.5, 0.5), RED, SIGN)
        canvas.disc(panel, (0.5, 0.5), (0.34, 0.34), PAPER if rng.random() < 0.6 else ground)
    elif kind == 1:
        canvas.shape(panel, ((0, 0.05), (1, 0.05), (0.5, 0.95)), RED, SIGN)
        canvas.shape(panel, ((0.22, 0.18), (0.78, 0.18), (0.5, 0.68)), PAPER)
    elif kind == 2:
        canvas.shape(panel, ((0, 0.5), (0.5, 0), (1, 0.5), (0.5, 1)), PAPER, SIGN)
        canvas.shape(panel, ((0.15, 0.5), (0.5, 0.15), (0.85, 0.5), (0.5, 0.85)), ground)
    else:
        canvas.rectangle(panel, ground, SIGN)
        canvas.rectangle(panel, mix(ground, PAPER, 0.85), across=(0.2, 0.8), up=(0.4, 0.6))
    return size


def draw_clutter(canvas: Canvas, box: Box) -> None:
    """Paint a bin, a crate or a covered stall: things that belong to no class."""
    paint = paint_color(canvas.rng)
    for side, panel in box.faces(tuck=0.1):
        canvas.rectangle(panel, shade(paint, 1.2 if side == "top" else 1), IGNORE_INDEX)
        canvas.rectangle(panel, shade(paint, 0.6), up=(0.75, 0.85))
