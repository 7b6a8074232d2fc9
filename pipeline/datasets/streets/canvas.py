"""A picture and its label map painted together, in perspective: the drawing half of the `streets` data set.

World coordinates are meters as the camera sees them: x to the right, y up from the ground, z straight ahead, with the
camera above the origin. Everything that stands in the street is a `Box`; its faces are `Panel`s; a `Canvas` projects
what is painted on a panel, paints the same outline into the image and into the label map, and therefore keeps the two
in exact agreement. Nothing here knows what a class is.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import cos, exp, hypot, pi, sin
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Color = tuple[float, float, float]
Point = tuple[float, float, float]
Span = tuple[float, float]

SUPERSAMPLING = 4
"""Every pixel of the result is painted as 4 x 4: the image takes their mean, the labels take the one in the center."""
NEAREST = 0.7
"""Meters. What is nearer to the camera than this is moved to this depth, so that nothing is divided by zero."""
CIRCLE = tuple((cos(pi * k / 6), sin(pi * k / 6)) for k in range(12))
TILE = 128


def hsv(rng: np.random.Generator, hue: Span = (0, 1), saturation: Span = (0, 1), value: Span = (0, 1)) -> Color:
    """Draw one RGB color, 0 to 255, uniform over the given ranges of hue, saturation and value."""
    red, green, blue = colorsys.hsv_to_rgb(rng.uniform(*hue) % 1, rng.uniform(*saturation), rng.uniform(*value))
    return 255 * red, 255 * green, 255 * blue


def mix(first: Color, second: Color, share: float) -> Color:
    """Move from the first color toward the second by `share`, in [0, 1]."""
    return (
        first[0] + share * (second[0] - first[0]),
        first[1] + share * (second[1] - first[1]),
        first[2] + share * (second[2] - first[2]),
    )


def shade(color: Color, factor: float) -> Color:
    """Scale the brightness of a color."""
    return color[0] * factor, color[1] * factor, color[2] * factor


def smooth_noise(rng: np.random.Generator, height: int, width: int, *, cell: float) -> NDArray[np.float32]:
    """Draw (height, width) noise around zero that varies over about `cell` pixels."""
    coarse = rng.standard_normal((int(height / cell) + 2, int(width / cell) + 2), dtype=np.float32)
    resized = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.float32)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along z. Lengths are in supersampled pixels, `eye` is its height in meters."""

    focal: float
    center: float
    horizon: float
    eye: float

    def project(self, point: Point) -> tuple[float, float]:
        """Return the column and row at which a point of the world is seen."""
        x, y, z = point
        scale = self.focal / (z if z > NEAREST else NEAREST)
        return self.center + scale * x, self.horizon + scale * (self.eye - y)


@dataclass(frozen=True)
class Light:
    """Weather and time of day.

    `clouds` is how strongly clouds brighten the sky (darken it where negative: the lamps are lit then), `shadow` the
    opacity of shadows, `shadow_length` their length per meter of height, `sun` the direction (x, z) toward the sun,
    `visibility` the distance in meters after which haze leaves 1/e of a color.
    """

    zenith: Color
    skyline: Color
    tint: Color
    clouds: float
    shadow: float
    shadow_length: float
    sun: tuple[float, float]
    visibility: float


@dataclass(frozen=True)
class Panel:
    """A flat piece of the world with four corners. Paint is placed on it by fractions: s to the right, t up."""

    corners: tuple[Point, Point, Point, Point]
    facing: tuple[float, float] | None = None

    def at(self, s: float, t: float) -> Point:
        """Return the point of the world at the given fractions of the panel."""
        (ax, ay, az), (bx, by, bz), (cx, cy, cz), (dx, dy, dz) = self.corners
        a, b, c, d = (1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t
        return a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy, a * az + b * bz + c * cz + d * dz

    @property
    def length(self) -> float:
        """Meters along the lower edge."""
        (ax, _, az), (bx, _, bz) = self.corners[:2]
        return hypot(bx - ax, bz - az)


@dataclass(frozen=True)
class Box:
    """A box on the ground: center, heading (0: the way the camera looks, positive: to the left), size in meters."""

    x: float
    z: float
    length: float
    width: float
    height: float
    yaw: float = 0.0

    def footprint(self, along: Span = (0, 1), tuck: float = 0.0) -> list[tuple[float, float]]:
        """Return the corners (x, z) counterclockwise from the rear left; `tuck` in [0, 1] narrows both sides."""
        half = 0.5 * self.width * (1 - tuck)
        rear, front = ((share - 0.5) * self.length for share in along)
        cosine, sine = cos(self.yaw), sin(self.yaw)
        corners = ((-half, rear), (half, rear), (half, front), (-half, front))
        return [(self.x + cosine * u - sine * v, self.z + sine * u + cosine * v) for u, v in corners]

    @cached_property
    def depths(self) -> Span:
        """The nearest and the farthest z of the box."""
        depths = [z for _, z in self.footprint()]
        return min(depths), max(depths)

    def faces(self, along: Span = (0, 1), up: Span = (0, 1), lean: Span = (0, 0), tuck: float = 0.0) -> list[tuple[str, Panel]]:
        """Return the top and the visible sides of a part of the box, in the order in which they are painted.

        Args:
            along: The part, as fractions from rear to front.
            up: The part, as fractions from the ground to the top.
            lean: How far the rear and the front edge of the top move inward, as fractions of the length.
            tuck: By which fraction the top is narrower than the base.
        """
        base, low, high = self.footprint(along), up[0] * self.height, up[1] * self.height
        roof = self.footprint((along[0] + lean[0], along[1] - lean[1]), tuck)
        (ax, az), (bx, bz), (cx, cz), (dx, dz) = roof
        faces = [("top", Panel(((ax, high, az), (bx, high, bz), (cx, high, cz), (dx, high, dz))))]
        for k, name in enumerate(("rear", "right", "front", "left")):
            m = (k + 1) % 4
            (ax, az), (bx, bz), (cx, cz), (dx, dz) = base[k], base[m], roof[m], roof[k]
            if (bx - ax) * az - (bz - az) * ax > 0:  # the camera is on the outer side of this edge
                size = hypot(bx - ax, bz - az)
                corners = ((ax, low, az), (bx, low, bz), (cx, high, cz), (dx, high, dz))
                faces.append((name, Panel(corners, ((bz - az) / size, (ax - bx) / size))))
        return faces

    def billboard(self, width: float | None = None) -> Panel:
        """Return the upright panel through the center of the box that looks at the camera."""
        half, z = 0.5 * (self.width if width is None else width), self.z
        left, right, top = self.x - half, self.x + half, self.height
        return Panel(((left, 0, z), (right, 0, z), (right, top, z), (left, top, z)))


@dataclass
class Canvas:
    """The picture that is being painted and the label map that belongs to it."""

    rng: np.random.Generator
    height: int
    width: int
    camera: Camera
    light: Light
    labels: Image.Image
    image: Image.Image
    ink: ImageDraw.ImageDraw = field(init=False)
    glaze: ImageDraw.ImageDraw = field(init=False)
    label_ink: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        # An "RGBA" pen on an RGB image blends, at four times the cost: only worn markings and stains need it.
        self.ink, self.glaze = ImageDraw.Draw(self.image), ImageDraw.Draw(self.image, "RGBA")
        self.label_ink = ImageDraw.Draw(self.labels)

    @classmethod
    def under_sky(cls, rng: np.random.Generator, camera: Camera, light: Light, *, height: int, width: int, label: int) -> Self:
        """Begin a picture with its sky: a gradient toward the horizon, and clouds that are wider than high."""
        rise = np.clip(np.arange(height) * SUPERSAMPLING / max(camera.horizon, 1), 0, 1)[:, None, None]
        sky = (1 - rise) * np.array(light.zenith) + rise * np.array(light.skyline)
        large, small = (smooth_noise(rng, height, width // 3 + 1, cell=height / parts) for parts in (8, 20))
        cover = np.asarray(Image.fromarray(large + small).resize((width, height), Image.Resampling.BILINEAR))
        sky = sky + light.clouds * np.clip(cover - 0.3, -0.5, 1.6)[..., None] * (248 - sky)
        size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
        image = Image.fromarray(sky.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
        return cls(rng, height, width, camera, light, Image.new("L", size, label), image)

    def _fill(self, color: Color, depth: float, opacity: float, facing: tuple[float, float] | None) -> tuple[int, ...]:
        if facing is not None:
            color = shade(color, 0.85 + 0.3 * (facing[0] * self.light.sun[0] + facing[1] * self.light.sun[1]))
        haze = 1 - exp(-depth / self.light.visibility) if depth > 0 else 0.0
        red, green, blue = mix(color, self.light.skyline, haze)
        return int(red), int(green), int(blue), int(255 * opacity)  # Pillow clips each to 0..255

    def polygon(
        self,
        points: Sequence[Point],
        color: Color | None,
        label: int | None = None,
        *,
        opacity: float = 1.0,
        facing: tuple[float, float] | None = None,
    ) -> None:
        """Paint the outline through some points; without a color only the labels change, without a label the image."""
        outline = [self.camera.project(point) for point in points]
        columns, rows = zip(*outline, strict=True)
        wide, high = self.image.size
        if max(columns) < 0 or min(columns) > wide or max(rows) < 0 or min(rows) > high:
            return
        if color is not None:
            depth = sum(point[2] for point in points) / len(points)
            pen = self.ink if opacity == 1 else self.glaze
            pen.polygon(outline, fill=self._fill(color, depth, opacity, facing))
        if label is not None:
            self.label_ink.polygon(outline, fill=label)

    def shape(
        self, panel: Panel, spots: Sequence[Span], color: Color | None, label: int | None = None, *, opacity: float = 1
    ) -> None:
        """Paint a polygon given by its fractions (s, t) of a panel."""
        points = [panel.at(s, t) for s, t in spots]
        self.polygon(points, color, label, opacity=opacity, facing=panel.facing)

    def rectangle(
        self,
        panel: Panel,
        color: Color | None,
        label: int | None = None,
        *,
        across: Span = (0, 1),
        up: Span = (0, 1),
        opacity: float = 1,
    ) -> None:
        """Paint a rectangular part of a panel."""
        (left, right), (low, high) = across, up
        self.shape(panel, ((left, low), (right, low), (right, high), (left, high)), color, label, opacity=opacity)

    def disc(self, panel: Panel, center: Span, radius: Span, color: Color | None, label: int | None = None) -> list[Point]:
        """Paint an ellipse on a panel, and return the points of its rim."""
        rim = [panel.at(center[0] + u * radius[0], center[1] + v * radius[1]) for u, v in CIRCLE]
        self.polygon(rim, color, label, facing=panel.facing)
        return rim

    def line(self, points: Sequence[Point], width: float, color: Color, label: int | None = None) -> None:
        """Paint a line of so many meters, but never thinner than what still shows in the small picture."""
        outline = [self.camera.project(point) for point in points]
        depth = sum(point[2] for point in points) / len(points)
        pixels = round(max(self.camera.focal * width / max(depth, NEAREST), 0.9 * SUPERSAMPLING))
        self.ink.line(outline, fill=self._fill(color, depth, 1.0, None), width=pixels, joint="curve")
        if label is not None:
            # One extra sample keeps a line of one pixel from slipping between the centers that the labels take.
            self.label_ink.line(outline, fill=label, width=max(pixels, SUPERSAMPLING + 1))

    def ball(self, center: Point, radius: Span, color: Color, label: int | None = None) -> None:
        """Paint an ellipse that looks at the camera; cheaper than a disc."""
        column, row = self.camera.project(center)
        scale = self.camera.focal / max(center[2], NEAREST)
        wide, high = scale * radius[0], scale * radius[1]
        bounds = (column - wide, row - high, column + wide, row + high)
        self.ink.ellipse(bounds, fill=self._fill(color, center[2], 1.0, None))
        if label is not None:
            self.label_ink.ellipse(bounds, fill=label)

    def ground(self, x: Span, z: Span, color: Color | None, label: int | None = None, *, opacity: float = 1) -> None:
        """Paint a rectangle on the ground, in slices that recede into the haze."""
        edges = [z[0], *(edge for edge in (6.0, 12.0, 24.0, 48.0) if z[0] < edge < z[1]), z[1]]
        for near, far in pairwise(edges):
            corners = ((x[0], 0, near), (x[1], 0, near), (x[1], 0, far), (x[0], 0, far))
            self.polygon(corners, color, label, opacity=opacity)

    def roughen_ground(self, strength: float) -> None:
        """Give what has been painted below the horizon a grain that gets finer with distance."""
        focal, center, horizon = (
            length / SUPERSAMPLING for length in (self.camera.focal, self.camera.center, self.camera.horizon)
        )
        start = int(horizon) + 1
        depth = focal * self.camera.eye / (np.arange(start, self.height) + 0.5 - horizon)
        x = (np.arange(self.width) - center)[None, :] * depth[:, None] / focal
        grain = smooth_noise(self.rng, TILE, TILE, cell=6) + 0.5 * smooth_noise(self.rng, TILE, TILE, cell=1.5)
        columns, lines = (9 * x).astype(int) % TILE, (5 * depth).astype(int) % TILE
        fade = strength * np.exp(-depth / 25)[:, None]
        factor = np.full((self.height, self.width), 255.0)
        factor[start:] *= 0.88 * (1 - np.clip(fade * grain[lines[:, None], columns], -0.13, 0.4))
        texture = Image.fromarray(factor.astype(np.uint8)).resize(self.image.size, Image.Resampling.BILINEAR)
        self.image.paste(ImageChops.multiply(self.image, Image.merge("RGB", [texture] * 3)))

    def cast_shadows(self, boxes: Sequence[Box]) -> None:
        """Darken the ground behind every box as seen from the sun, and just around its foot."""
        mask = Image.new("L", self.image.size)
        pen = ImageDraw.Draw(mask)
        for box in boxes:
            reach = -box.height * self.light.shadow_length
            base = box.footprint()
            tip = [(x + reach * self.light.sun[0], z + reach * self.light.sun[1]) for x, z in base]
            sides = [(base[k], base[(k + 1) % 4], tip[(k + 1) % 4], tip[k]) for k in range(4)]
            for patch in (base, tip, *sides):
                pen.polygon([self.camera.project((x, 0, max(z, 1))) for x, z in patch], fill=int(255 * self.light.shadow))
        self.image.paste((22, 24, 34), mask=mask.filter(ImageFilter.BoxBlur(SUPERSAMPLING // 2)))

    def develop(self, *, contrast: float, noise: float) -> NDArray[np.uint8]:
        """Return the finished image (height, width, 3): averaged, tinted by the light, with a sensor's noise."""
        image: NDArray[np.float64] = np.asarray(self.image.reduce(SUPERSAMPLING)) * np.array(self.light.tint)
        image *= 1 + 0.02 * smooth_noise(self.rng, self.height, self.width, cell=3)[..., None]
        image = (image - 115) * contrast + 115 + noise * self.rng.standard_normal(image.shape)
        developed: NDArray[np.uint8] = image.clip(0, 255).astype(np.uint8)
        return developed

    def read_labels(self) -> NDArray[np.uint8]:
        """Return the label map (height, width): of each pixel the sample in its center."""
        middle = SUPERSAMPLING // 2
        return np.asarray(self.labels)[middle::SUPERSAMPLING, middle::SUPERSAMPLING].copy()
