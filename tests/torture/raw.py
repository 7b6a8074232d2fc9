"""Hostile raw data: `prepare` refuses it in one line that names it, or takes it, and then a network can train on it."""

import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from tests.torture.child import Process
from tests.torture.experiment import Bench
from tests.torture.trial import Result
from tests.workspace import change_params, said

HEIGHT, WIDTH = 24, 32
_IMAGE, _LABELS = "images/street 0.png", "labels/street 0.png"

Harm = Callable[[Path], object]
Entry = tuple[Harm, str | None]
"""What is done to the folder of raw data, and the word that the refusal must hold; None where the data must be taken."""


def _encode(mode: str = "RGB", kind: str = "PNG", size: tuple[int, int] = (WIDTH, HEIGHT), **options: Any) -> bytes:
    output = io.BytesIO()
    Image.new(mode, size, 1 if mode in {"L", "P", "1", "I", "F", "I;16"} else None).save(output, kind, **options)
    return output.getvalue()


def _header(width: int, height: int) -> bytes:
    """Return a PNG that is little more than a header, so it may claim any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _encode(exif=exif)


def _put(name: str, content: bytes) -> Harm:
    return lambda raw: (raw / name).write_bytes(content)


def _instead(make: Callable[[Path], object], name: str = _IMAGE) -> Harm:
    def replace(raw: Path) -> None:
        (raw / name).unlink()
        make(raw / name)

    return replace


def _one_id_of_two(raw: Path) -> None:
    for name in ("images/street/1.png", "images/street_1.png"):
        (raw / name).parent.mkdir(exist_ok=True)
        (raw / name).write_bytes(_WHOLE)


def _link(name: str, target: str) -> Harm:
    return _instead(lambda path: path.symlink_to(target), name)


def _rename(stem: str | bytes) -> Harm:
    def rename(raw: Path) -> None:
        for name in (_IMAGE, _LABELS):
            old = os.fsencode(raw / name)
            os.rename(old, os.path.join(os.path.dirname(old), os.fsencode(stem) + b".png"))  # noqa: PTH104, PTH118, PTH120 - bytes

    return rename


def _labels(values: Any, kind: str = "PNG", name: str = _LABELS) -> Harm:
    def write(raw: Path) -> None:
        Image.fromarray(np.broadcast_to(values, (HEIGHT, WIDTH, *np.shape(values)[2:])).copy()).save(raw / name, kind)

    return write


def _list(content: bytes) -> Harm:
    return _put("../lists/val.txt", content)


def _classes(text: str | bytes) -> Harm:
    return _put("classes.yaml", text.encode() if isinstance(text, str) else text)


def _priors(text: str | bytes) -> Harm:
    def write(raw: Path) -> None:
        _put("../lists/priors.json", text.encode() if isinstance(text, str) else text)(raw)
        change_params(raw.parent, {"data.priors": "priors.json"})

    return write


_WHOLE, _JPEG, _TIFF = _encode(), _encode(kind="JPEG"), _encode(kind="TIFF")
_REFUSED_IMAGES = {
    "empty": b"", "text": b"not found", "html": b"<!DOCTYPE html><html></html>", "zeros": bytes(1000),
    "half a PNG": _WHOLE[: len(_WHOLE) // 2], "a header alone": _WHOLE[:33], "a signature alone": _WHOLE[:8],
    "a wrong checksum": _WHOLE[:50] + bytes([_WHOLE[50] ^ 255]) + _WHOLE[51:], "half a JPEG": _JPEG[: len(_JPEG) // 2],
    "half a TIFF": _TIFF[: len(_TIFF) // 2],
    "an EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 24\n%%EndComments\nshowpage\n",
    "a PDF": b"%PDF-1.4\n%%EOF\n", "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>', "a GIF": _encode("P", "GIF"),
    "an icon": b"\x00\x00\x01\x00\x01\x00" + bytes(16), "gzip": b"\x1f\x8b\x08" + bytes(50),
    "AVIF, torn": b"\x00\x00\x00\x1cftypavif" + bytes(40),
    "JPEG 2000, torn": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(40), "DDS, torn": b"DDS |\x00\x00\x00" + bytes(120),
    "a bomb of 60000x60000": _header(60000, 60000), "a bomb of 2147483647x1": _header(2147483647, 1),
    "of size 0x0": _header(0, 0),
    "less than its size": _header(WIDTH, HEIGHT), "another size": _encode(size=(WIDTH + 1, HEIGHT)),
    "gray of 16 bits": _encode("I;16"),
    "floats": _encode("F", "TIFF"), "turned against its labels": _turned(6),
}  # fmt: skip
_TAKEN_IMAGES = {
    "a JPEG named PNG": _JPEG, "a TIFF named PNG": _TIFF, "a BMP named PNG": _encode(kind="BMP"),
    "WebP named PNG": _encode(kind="WEBP"),
    "PPM named PNG": _encode(kind="PPM"), "one bit": _encode("1"), "gray": _encode("L"), "gray and alpha": _encode("LA"),
    "RGBA": _encode("RGBA"), "a palette": _encode("P"), "CMYK": _encode("CMYK", "JPEG"),
    "more behind its end": _WHOLE + b"more",
    "upside down by EXIF": _turned(3), "an unknown orientation": _turned(77),
    "a progressive JPEG": _encode(kind="JPEG", progressive=True),
    "a broken EXIF": _encode(exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff"),
    "a huge comment": _encode(kind="JPEG", comment=b"x" * 60000),
    "a broken profile": _encode(icc_profile=b"no profile"),
}  # fmt: skip
_REFUSED_NAMES: Sequence[str | bytes] = (
    "new\nline", "tab\tstop", b"not-utf-8 \xff\xfe", "a" * 201, " space before", "space behind ", "back\\slash",
    "zero\u200bwidth", "right\u202eleft", "bell\x07", "delete\x7f", "next\x85line",
)  # fmt: skip
_TAKEN_NAMES = (
    "-rf",
    "--help",
    "$(id)",
    "`id`",
    "'quotes\"",
    "*",
    "a..b",
    "#",
    "%s%n",
    "<script>",
    "ü",
    "u\u0308",
    "😀",
    "a" * 200,
    "x.y.z",
    ";",
    "&&",
)
_CLASSES = "[sky, road, car]"
_REFUSED_CLASSES: dict[str, str | bytes] = {
    "empty": "", "text": "sky road car", "a list alone": _CLASSES, "no classes": "labels: index\n",
    "an empty list": "classes: []\n",
    "a class twice": "classes: [sky, road, sky]\n", "a control character": 'classes: [sky, "ro\\aad", car]\n',
    "a number": "classes: [sky, 1, car]\n",
    "null": "classes: [sky, null, car]\n", "an empty name": 'classes: [sky, "", car]\n',
    "an unknown key": f"classes: {_CLASSES}\ncolour: 1\n",
    "unknown labels": f"classes: {_CLASSES}\nlabels: rgb\n", "a negative id": "classes: [sky, road, {name: car, id: -1}]\n",
    "an id of 70000": "classes: [sky, road, {name: car, id: 70000}]\n",
    "an id of 1.5": "classes: [sky, road, {name: car, id: 1.5}]\n",
    "an id twice": "classes: [sky, road, {name: car, id: 1}]\n",
    "a color of two": "classes: [sky, road, {name: car, color: [1, 2]}]\n",
    "a color of 256": "classes: [sky, road, {name: car, color: [1, 2, 256]}]\n",
    "colors without one": f"labels: color\nclasses: {_CLASSES}\n",
    "an ignored class": f"classes: {_CLASSES}\nignore: [1]\n", "an ignored word": f"classes: {_CLASSES}\nignore: [void]\n",
    "a tag of Python": "classes: !!python/object/apply:os.system [id]\n", "bad YAML": "classes: [sky, road\n",
    "a tab": "classes:\n\t- sky\n",
    "nested 5000 times": "classes: " + "[" * 5000 + "]" * 5000 + "\n", "not UTF-8": b"classes: [sky, road, \xff]\n",
    "zeros": bytes(100),
    "two documents": f"classes: {_CLASSES}\n---\nclasses: {_CLASSES}\n",
    "a key twice": f"classes: {_CLASSES}\nclasses: {_CLASSES}\n",
    "a billion laughs": "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n" for n in range(9)),
    "an anchor of itself": "classes: &a [*a]\n",
}  # fmt: skip
_TAKEN_CLASSES: dict[str, str | bytes] = {
    "CRLF": "classes:\r\n- sky\r\n- road\r\n- car\r\n", "a mark of bytes": b"\xef\xbb\xbfclasses: [sky, road, car]\n",
    "comments": f"# mine\nclasses: {_CLASSES} # all\n", "a class that nothing shows": "classes: [sky, road, car, bus]\n",
    "a hex color": "classes: [sky, road, {name: car, color: '#00008E'}]\n",
    "quotes and markup": "classes: [\"<b>'sky'\", road, 'a \"car\"']\n",
    "a long name": f"classes: [sky, road, {'c' * 300}]\n",
}  # fmt: skip
_REFUSED_LISTS = {
    "empty": b"", "blank lines": b"\n\n\n", "UTF-16": "street 4\n".encode("utf-16"),
    "a mark of bytes": b"\xef\xbb\xbfstreet 4\nstreet 5\n",
    "not UTF-8": b"street 4\nstr\xff\xfe\n", "an id twice": b"street 4\nstreet 4\n", "an unknown id": b"street 4\nstreet 99\n",
    "a path upwards": b"../../../etc/passwd\n", "an absolute path": b"/etc/passwd\n", "an ending": b"street 4.png\n",
    "zeros": bytes(64),
    "a zero": b"street 4\nstreet\0 5\n", "a long line": b"street 4\n" + b"x" * 10**6 + b"\n",
    "a comment": b"# mine\nstreet 4\n",
    "a tab": b"street 4\tstreet 5\n",
}  # fmt: skip
_TAKEN_LISTS = {
    "CRLF": b"street 4\r\nstreet 5\r\n", "CR": b"street 4\rstreet 5\r", "blank lines between": b"\nstreet 4\n\n\nstreet 5\n\n",
    "no end of line": b"street 4\nstreet 5",
}  # fmt: skip
_REFUSED_PRIORS: dict[str, str | bytes] = {
    "no JSON": "sky: 1", "empty": "", "a list": "[1, 2, 3]", "nested 20000 times": "[" * 20000, "not UTF-8": b'{"sky\xff": 1}',
    "a class missing": '{"sky": 1, "road": 1}', "a class too many": '{"sky": 1, "road": 1, "car": 1, "bus": 1}',
    "zeros": '{"sky": 0, "road": 0, "car": 0}', "a class twice": '{"sky": 1, "sky": 2, "road": 1, "car": 1}',
    **{f"a share of {share[:9]}": f'{{"sky": {share}, "road": 1, "car": 1}}'
       for share in ("-0.1", "NaN", "Infinity", "null", '"much"', "true", "{}")},
}  # fmt: skip
_TAKEN_PRIORS = {
    "counts": '{"sky": 100, "road": 50, "car": 3}',
    "another order": '{"car": 0.2, "sky": 0.5, "road": 0.3}',
    "a zero": '{"sky": 1, "road": 1, "car": 0}',
    "a count of 400 digits": f'{{"sky": 1{"0" * 400}, "road": 1, "car": 1}}',
}

_ODD_LABELS: dict[str, Entry] = {
    "empty": (_put(_LABELS, b""), "street 0"), "text": (_put(_LABELS, b"labels"), "street 0"),
    "half": (_put(_LABELS, _WHOLE[:40]), "street 0"),
    "colors": (_put(_LABELS, _WHOLE), "street 0"), "an unknown value": (_labels(np.uint8(9)), "street 0"),
    "another size": (_put(_LABELS, _encode("L", size=(HEIGHT, WIDTH))), "street 0"),
    "floats": (_labels(np.float32(1), "TIFF"), "street 0"),
    "negative numbers": (_labels(np.int32(-1), "TIFF"), "street 0"),
    "a bomb": (_put(_LABELS, _header(60000, 60000)), "street 0"),
    "a JPEG beside it": (_labels(np.uint8(1), "JPEG", "labels/street 1.jpg"), "street 1"),
    "one by another ending": (_labels(np.uint8(1), "TIFF", "labels/street 0.tif"), "street 0"),
    "one without an image": (_labels(np.uint8(1), name="labels/street 99.png"), "street 99"),
    "a value of 65535": (_labels(np.uint16(65535)), "street 0"), "16 bits": (_labels(np.uint16(1)), None),
    "a palette": (_put(_LABELS, _encode("P")), None),
    "one bit": (_put(_LABELS, _encode("1")), None), "all ignored": (_labels(np.uint8(255)), None),
    "an array of NumPy": (_put("labels/street 7.npy", b"x"), None),
    "a link to nothing": (_link(_LABELS, "nothing"), None),
    "more values than classes": (_classes("classes: [sky]\n"), "labels/street"),
    "none of a validation image": (_list(b"street 4\nstreet 7\n"), "street 7"),
}  # fmt: skip
_ODD_FILES: dict[str, Entry] = {
    "a folder": (_instead(Path.mkdir), "street 0"), "a FIFO": (_instead(os.mkfifo), "street 0"),
    "a link to nothing": (_link(_IMAGE, "nothing"), "street 0"),
    "a link to itself": (_link(_IMAGE, "street 0.png"), "street 0"),
    "a link to /dev/zero": (_link(_IMAGE, "/dev/zero"), "street 0"),
    "a link to /etc/passwd": (_link(_IMAGE, "/etc/passwd"), "street 0"),
    "one of two endings": (_put("images/street 0.jpg", _JPEG), "street 0"),
    "one id of two folders": (_one_id_of_two, "1.png"),
    "an ending in capitals": (_put("images/STREET.PNG", _WHOLE), None),
    "a hidden file": (_put("images/.street.png", b""), None),
    "another kind": (_put("images/street.heic", b"x"), None),
    "a linked folder": (lambda raw: (raw / "images/more").symlink_to(raw / "labels"), None),
    "one pixel": (_put("images/point.png", _encode(size=(1, 1))), None),
    "a link to an image": (_link("images/street 7.png", "street 6.png"), None),
}  # fmt: skip

CORPUS: dict[str, Entry] = {
    **{f"image: {title}": (_put(_IMAGE, content), "street 0") for title, content in _REFUSED_IMAGES.items()},
    **{f"image: {title}": (_put(_IMAGE, content), None) for title, content in _TAKEN_IMAGES.items()},
    **{f"file: {title}": entry for title, entry in _ODD_FILES.items()},
    **{f"name: {stem!r}": (_rename(stem), ".png") for stem in _REFUSED_NAMES},
    **{f"name: {stem!r}": (_rename(stem), None) for stem in _TAKEN_NAMES},
    **{f"labels: {title}": entry for title, entry in _ODD_LABELS.items()},
    **{f"list: {title}": (_list(content), "val.txt") for title, content in _REFUSED_LISTS.items()},
    **{f"list: {title}": (_list(content), None) for title, content in _TAKEN_LISTS.items()},
    **{f"classes: {title}": (_classes(text), "classes.yaml") for title, text in _REFUSED_CLASSES.items()},
    **{f"classes: {title}": (_classes(text), None) for title, text in _TAKEN_CLASSES.items()},
    **{f"priors: {title}": (_priors(text), "priors.json") for title, text in _REFUSED_PRIORS.items()},
    **{f"priors: {title}": (_priors(text), None) for title, text in _TAKEN_PRIORS.items()},
}


def hostile_data(bench: Bench, number: int, rng: Random) -> Sequence[Result]:
    """Prepare a data set of one's own with one hostile thing in it."""
    title = list(CORPUS)[number % len(CORPUS)]
    harm, word = CORPUS[title]
    folder = bench.folder.with_name(f"{bench.folder.name}-raw")
    shutil.rmtree(folder, ignore_errors=True)
    _lay_out(folder, bench)
    harm(folder / "mine")
    prepare = bench.experiment.stage("prepare")
    ended = Process(folder, prepare.run(), log=bench.log).end()
    row, outcome, there = title.partition(":")[0], ended.describe(), (folder / "data/prepared").exists()
    detail = f"{title}: {ended.text[-400:]}"
    if outcome == "one line":
        named = word is None or word in said(ended.text)[0]
        outcome = "half-written" if there else "taken before, now refused" if word is None else "named" if named else "not named"
    elif outcome == "done" and word is not None:
        outcome = "accepted, must not be"
    elif outcome == "done":
        trained = Process(folder, bench.experiment.stage("pretrain").run(), log=bench.log).end()
        outcome = "accepted" if trained.code == 0 else f"accepted, but pretrain: {trained.describe()}"
        detail += trained.text[-300:]
    return [Result(row, outcome, good=outcome in {"named", "accepted"}, detail=detail)]


def _lay_out(folder: Path, bench: Bench) -> None:
    """Write images, of which 6 and 7 have no label file, classes, a list of validation images and parameters."""
    rng = np.random.default_rng(0)
    for name in ("lists", "mine/images", "mine/labels"):
        (folder / name).mkdir(parents=True)
    for number in range(8):
        labels = rng.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8)
        Image.fromarray(np.repeat(labels[..., None] * 80, 3, axis=2)).save(folder / f"mine/images/street {number}.png")
        if number < 6:
            Image.fromarray(labels).save(folder / f"mine/labels/street {number}.png")
    (folder / "mine/classes.yaml").write_text(f"classes: {_CLASSES}\n")
    (folder / "lists/val.txt").write_text("street 4\nstreet 5\n")
    (folder / "data").mkdir()
    (folder / "data/lists").symlink_to(folder / "lists")
    shutil.copy(bench.experiment.folder / "params.yaml", folder / "params.yaml")
    mine = {"name": "folder", "root": "mine", "labeled_fraction": 1.0, "holdout_fraction": 0.0, "val_list": "val.txt"}
    change_params(folder, {**{f"data.{key}": value for key, value in mine.items()}, "pretrain.steps": 1, "calibration": "none"})
