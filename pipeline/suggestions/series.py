"""Which images are neighbors of one series, guessed from their names alone: frames of one video show the same things."""

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"(.*?)[\W_]*([0-9]+)", re.DOTALL)


class Series:
    """The series that some images form.

    An image whose id ends with a number belongs to the series of the text before the last separator and number, in the order of
    the numbers: `0001TP_006690` is image 6690 of the series `0001TP`. Any other image is a series of its own.
    """

    def __init__(self, image_ids: Sequence[str]) -> None:
        """Sort the images (N,) into series."""
        members: dict[tuple[str, bool], list[tuple[int, str, int]]] = {}
        for index, image_id in enumerate(image_ids):
            found = _NUMBERED.fullmatch(image_id)
            key, number = ((found[1], True), int(found[2])) if found else ((image_id, False), 0)
            members.setdefault(key, []).append((number, image_id, index))
        self._members = {key: [index for _, _, index in sorted(images)] for key, images in members.items()}
        self._place = {index: (key, place) for key, images in self._members.items() for place, index in enumerate(images)}

    def neighbors(self, index: int, *, apart: int) -> list[int]:
        """Return the images at most `apart` places from one in its series, itself included."""
        key, place = self._place[index]
        return self._members[key][max(place - apart, 0) : place + apart + 1]
