"""Who stands where: the ground plans of the `streets` data set, and how they are furnished.

Positions and sizes are in meters and about those of real streets, so that perspective alone decides how many pixels
a thing gets. How often a thing comes decides which classes are rare: each of the rare ones is in a quarter to three
quarters of the scenes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cmp_to_key, partial

import numpy as np

from pipeline.datasets.streets import objects
from pipeline.datasets.streets.canvas import Box, Canvas, Span

Draw = Callable[[Canvas, Box], None]
OPEN_END = 95.0
"""Meters to where an open street is lost in the distance."""
NO_CROSSING = -100.0


@dataclass(frozen=True)
class Thing:
    """Something that stands in the street: where, how large, and the function that paints it."""

    box: Box
    draw: Draw


@dataclass(frozen=True)
class Street:
    """The ground plan: the road from `center - half` to `center + half`, sidewalks, a side street at `crossing`."""

    center: float
    half: float
    walk: float
    crossing: float
    end: float

    def curb(self, side: int) -> float:
        """Return x of the edge of the road on the left (-1) or right (1)."""
        return self.center + side * self.half

    def is_clear(self, z: float, length: float = 0.0) -> bool:
        """Tell whether a thing of some length at this depth leaves the side street open."""
        return abs(z - self.crossing) > 4 + length / 2


def draw_street(rng: np.random.Generator) -> Street:
    """Draw a ground plan; a side street may cross, and the road may end soon at a house."""
    half = rng.uniform(3.6, 6.6)
    return Street(
        center=-half * rng.uniform(-0.2, 0.7),
        half=half,
        walk=rng.uniform(2.8, 6.5),
        crossing=rng.uniform(13, 32) if rng.random() < 0.45 else NO_CROSSING,
        end=rng.uniform(38, 60) if rng.random() < 0.25 else OPEN_END,
    )


def furnish(rng: np.random.Generator, street: Street) -> tuple[list[Thing], list[Thing]]:
    """Put everything into a street.

    Returns:
        The houses, which stand behind everything else, and the other things; both in the order of painting.
    """
    houses = close_view(rng, street)
    traffic = drive(rng, street)
    walkers = [*send_people(rng, street), *leave_bicycles(rng, street)]
    things = [thing for thing in walkers if not any(is_blocked(thing.box, vehicle.box) for vehicle in traffic)]
    things += [*traffic, *erect_posts(rng, street), *strew_clutter(rng, street)]
    for side in (-1, 1):
        more_houses, more_things = line_side(rng, street, side)
        houses, things = houses + more_houses, things + more_things
    order = cmp_to_key(compare_depths)
    return sorted(houses, key=order), sorted((thing for thing in things if thing.box.z < street.end), key=order)


def compare_depths(first: Thing, second: Thing) -> int:
    """Compare two things for painting: the farther first; of two side by side, the inner one last."""
    if first.box.depths[0] >= second.box.depths[1] or second.box.depths[0] >= first.box.depths[1]:
        return 1 if second.box.depths[0] > first.box.depths[0] else -1
    return 1 if abs(second.box.x) > abs(first.box.x) else -1


def is_blocked(box: Box, vehicle: Box) -> bool:
    """Tell whether a vehicle stands where somebody is, or less than half a meter from there."""
    corners = vehicle.footprint()
    beside = min(x for x, _ in corners) - 0.5 < box.x < max(x for x, _ in corners) + 0.5
    return beside and vehicle.depths[0] - 0.5 < box.z < vehicle.depths[1] + 0.5


def pick_side(rng: np.random.Generator) -> int:
    """Draw the left (-1) or the right (1) side of the street."""
    return 1 if rng.random() < 0.5 else -1


def pick_spot(rng: np.random.Generator, street: Street, depth: Span) -> Span:
    """Draw a place (x, z) on one of the sidewalks."""
    side = pick_side(rng)
    return street.curb(side) + side * rng.uniform(0.7, street.walk - 0.4), rng.uniform(*depth)


def close_view(rng: np.random.Generator, street: Street) -> list[Thing]:
    """Build what closes the view: a house at the end of the street, or a skyline of houses and trees."""
    if street.end < OPEN_END:
        house = Box(street.center, street.end + 10, 8, rng.uniform(40, 80), rng.uniform(6, 18))
        return [Thing(house, objects.draw_building)]
    grove = partial(objects.draw_tree, trunk=0.0)
    skyline = []
    for x in np.arange(-120, 120, 9).tolist():
        box = Box(x, rng.uniform(105, 150), 10, rng.uniform(10, 22), rng.uniform(4, 14))
        skyline.append(Thing(box, objects.draw_building if rng.random() < 0.35 else grove))
    return skyline


def line_side(rng: np.random.Generator, street: Street, side: int) -> tuple[list[Thing], list[Thing]]:
    """Line one side with houses at the sidewalk, with houses in gardens, or with a park.

    Returns:
        The houses, and the fences, hedges and trees.
    """
    kind = str(rng.choice(("houses", "gardens", "park"), p=(0.52, 0.3, 0.18)))
    curb, edge = street.curb(side), street.curb(side) + side * street.walk
    if kind == "houses":
        houses = build_row(rng, street, edge, side, tall=(7, 21), gaps=0.2)
        things = enclose(rng, street, curb + side * 0.3) if rng.random() < 0.1 else []
        trees = plant_row(rng, street, curb + side * 0.9, side, spacing=(7, 14)) if rng.random() < 0.4 else []
    else:
        setback = side * rng.uniform(4, 9)
        houses = build_row(rng, street, edge + setback, side, tall=(5, 11), gaps=1) if kind == "gardens" else []
        things = enclose(rng, street, edge) if rng.random() < 0.85 else []
        trees = plant_row(rng, street, edge + side * 2.5, side, spacing=(7, 14) if kind == "gardens" else (3, 5))
    return houses, things + trees


def build_row(rng: np.random.Generator, street: Street, x: float, side: int, *, tall: Span, gaps: float) -> list[Thing]:
    """Build a row of houses whose fronts stand at x; `gaps` is how often two of them leave a space."""
    houses, z = [], rng.uniform(-6, 3)
    while z < street.end:
        length = rng.uniform(7, 20)
        if not street.is_clear(z + length / 2, length):
            z = street.crossing + 4.1
            continue
        if rng.random() > 0.08:
            box = Box(x + 6 * side, z + length / 2, length, 12, rng.uniform(*tall))
            houses.append(Thing(box, objects.draw_building))
        z += length + (rng.uniform(1, 6) if rng.random() < gaps else 0.0)
    return houses


def plant_row(rng: np.random.Generator, street: Street, x: float, side: int, *, spacing: Span) -> list[Thing]:
    """Plant trees about every `spacing` meters along x, some of them farther out."""
    trees = []
    for z in np.arange(rng.uniform(6, 14), street.end, rng.uniform(*spacing)).tolist():
        tall = rng.uniform(4.5, 10)
        if street.is_clear(z, 3) and rng.random() < 0.8:
            crown = rng.uniform(0.45, 0.65) * tall
            trees.append(Thing(Box(x + side * rng.uniform(0, 1.5), z, crown, crown, tall), objects.draw_tree))
    return trees


def enclose(rng: np.random.Generator, street: Street, x: float) -> list[Thing]:
    """Put a fence or a hedge along x, in short lengths so that others can stand before and behind it."""
    tall, start = rng.uniform(0.9, 1.9), rng.uniform(3, 10)
    depths = np.arange(start, min(rng.uniform(start + 10, 60), street.end), 2.5).tolist()
    if rng.random() < 0.5:
        draw, thick = partial(objects.draw_hedge, color=objects.leaf_color(rng)), 0.7
    else:
        style = str(rng.choice(("bars", "planks", "wall")))
        draw, thick = partial(objects.draw_fence, style=style, color=objects.paint_color(rng)), 0.12
    return [Thing(Box(x, z, 2.5, thick, tall), draw) for z in depths if street.is_clear(z)]


def drive(rng: np.random.Generator, street: Street) -> list[Thing]:
    """Put vehicles on the road: ahead, oncoming, parked along the curbs, and crossing."""
    wide = street.half > 4.8
    lane = (0.28 if wide else 0.45) * street.half
    lanes = [(street.center + lane, 0.0, 22.0), (street.center - lane, np.pi, 16.0)]
    if wide:
        lanes += [(street.curb(side) - side * 1.15, 0.0, 1.2) for side in (-1, 1) if rng.random() < 0.65]
    things = []
    for x, yaw, spacing in lanes:
        z = rng.uniform(7, 22)
        while z < 65:
            size = rng.uniform(3.6, 4.8), rng.uniform(1.7, 1.9), rng.uniform(1.4, 1.6)
            if z > 11 and rng.random() < 0.15:
                size = 5.4, 2.0, rng.uniform(1.9, 2.4)  # a van
            if street.is_clear(z, size[0]) and rng.random() < 0.8:
                things.append(Thing(Box(x + rng.uniform(-0.2, 0.2), z, *size, yaw), objects.draw_car))
            z += size[0] + rng.uniform(0.5, 2) * spacing
    if street.crossing > 0 and rng.random() < 0.5:
        heading = pick_side(rng)
        x = street.center + rng.uniform(-1, 1) * street.half
        yaw = heading * np.pi / 2 + rng.uniform(-0.2, 0.2)
        things.append(Thing(Box(x, street.crossing - 1.6 * heading, 4.3, 1.8, 1.5, yaw), objects.draw_car))
    return send_bus(rng, street, things) if rng.random() < 0.31 else things


def send_bus(rng: np.random.Generator, street: Street, traffic: list[Thing]) -> list[Thing]:
    """Put a bus into one of the lanes, in the place of what would stand in its way."""
    side, length = pick_side(rng), rng.uniform(8, 12)
    x, z = street.center + side * rng.uniform(0.45, 0.65) * street.half, rng.uniform(9, 20) + length / 2
    bus = Box(x, z, length, 2.5, rng.uniform(2.8, 3.4), 0.0 if side > 0 else np.pi)
    near, far = bus.depths
    rest = [
        thing
        for thing in traffic
        if abs(thing.box.x - x) > 2.4 or thing.box.depths[0] > far or thing.box.depths[1] < min(near, 8)
    ]
    return [*rest, Thing(bus, objects.draw_bus)]


def erect_posts(rng: np.random.Generator, street: Street) -> list[Thing]:
    """Put street lamps, bollards, traffic lights and signs next to the curbs; some streets have none of them."""
    things: list[Thing] = []

    def put(draw: Draw, depths: Iterable[float], tall: float) -> None:
        side = pick_side(rng)
        thick, x = rng.uniform(0.12, 0.22), street.curb(side) + side * rng.uniform(0.3, 0.6)
        things.extend(Thing(Box(x, z, 0.2, thick, tall), draw) for z in depths)

    if rng.random() < 0.3:
        return things
    if rng.random() < 0.5:
        put(objects.draw_post, np.arange(rng.uniform(7, 16), 70, rng.uniform(12, 22)).tolist(), rng.uniform(5, 8))
    if rng.random() < 0.2:
        put(objects.draw_post, np.arange(rng.uniform(6, 9), 22, 1.8).tolist(), 0.95)
    if rng.random() < 0.55:
        for _ in range(int(rng.integers(1, 4))):
            put(objects.draw_signal, [rng.uniform(8, 18)], rng.uniform(3.4, 5.5))
    if rng.random() < 0.75:
        for _ in range(int(rng.integers(1, 4))):
            put(objects.draw_sign, [rng.uniform(8, 18)], rng.uniform(2.4, 3.4))
    return things


def send_people(rng: np.random.Generator, street: Street) -> list[Thing]:
    """Put groups of people on the sidewalks, and now and then on the road; some streets are deserted."""
    things: list[Thing] = []
    if rng.random() < 0.48:
        return things
    for _ in range(int(rng.integers(2, 7))):
        x, z = pick_spot(rng, street, (6.5, 24))
        if rng.random() < 0.2:
            x = street.center + rng.uniform(-1, 1) * street.half
        for _ in range(int(rng.integers(1, 4))):
            tall = rng.uniform(1.55, 1.95) if rng.random() < 0.85 else rng.uniform(1.0, 1.4)
            things.append(Thing(Box(x, z, 0.3, 0.43 * tall, tall), objects.draw_person))
            x, z = x + rng.uniform(0.5, 0.8), z + rng.uniform(-0.6, 0.6)
    return things


def leave_bicycles(rng: np.random.Generator, street: Street) -> list[Thing]:
    """Put a row of parked bicycles on a sidewalk, and cyclists on the road."""
    things = []
    if rng.random() < 0.3:
        x, z = pick_spot(rng, street, (7, 13))
        for k in range(int(rng.integers(2, 7))):
            box = Box(x, z + 0.7 * k, 0.4, 1.75 * rng.uniform(0.6, 1), 1.1)
            things.append(Thing(box, partial(objects.draw_bicycle, ridden=False)))
    if rng.random() < 0.3:
        for _ in range(int(rng.integers(1, 3))):
            x, z = street.center + rng.uniform(-0.95, 0.95) * street.half, rng.uniform(7, 16)
            things.append(Thing(Box(x, z, 0.5, 1.75 * rng.uniform(0.4, 1), 1.8), partial(objects.draw_bicycle, ridden=True)))
    return things


def strew_clutter(rng: np.random.Generator, street: Street) -> list[Thing]:
    """Put bins and crates on the sidewalks."""
    things = []
    for _ in range(int(rng.integers(0, 4))):
        x, z = pick_spot(rng, street, (7, 25))
        length, width, height = rng.uniform(0.5, 1.4, 3).tolist()
        things.append(Thing(Box(x, z, length, width, height, rng.uniform(-0.4, 0.4)), objects.draw_clutter))
    return things
