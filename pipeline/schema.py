"""Schemas of files: sections of YAML and artifacts of JSON, each with one reader that answers a wrong file in one line."""

import math
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.files import write_text
from pipeline.seal import broken_seal, open_json, seal_json

_SHORT = reprlib.Repr()
"""Spells any input: a file of a few lines may stand for billions of nested lists."""
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 90


class Section(BaseModel):
    """A part of a file: frozen, no unknown keys, no silent conversion."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


AnySection = TypeVar("AnySection", bound=Section)
AnyShares = TypeVar("AnyShares", bound=Mapping[str, float] | tuple[float, ...])

FloatOrInfinite = Annotated[
    float,
    Field(ge=0.0, allow_inf_nan=True),  # the bound leaves out NaN
    BeforeValidator(lambda value: math.inf if value == "inf" else value),
    PlainSerializer(lambda value: "inf" if math.isinf(value) else value, return_type=float | str, when_used="json"),
]
"""A value of 0 or more, in JSON the text "inf" where it is infinite."""


def _check_distribution(shares: AnyShares) -> AnyShares:
    values = list(shares.values()) if isinstance(shares, Mapping) else list(shares)
    if abs(math.fsum(values) - 1.0) > 1e-9:
        raise ValueError(f"expected shares that add up to 1, found {math.fsum(values):g}")
    return shares


Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A part of a whole."""
Distribution = AfterValidator(_check_distribution)
"""Marks a tuple or mapping of shares that is a distribution: it adds up to 1, but for rounding."""


class Artifact(Section):
    """A JSON file that one stage writes and others read back exactly; its last key is the sha256 of all others.

    Attributes:
        described_as: what it is, for errors: "a calibrator".
        written_by: the stage that writes it, for errors.
        sealed: whether it carries its sha256.
    """

    described_as: ClassVar[str]
    written_by: ClassVar[str]
    sealed: ClassVar[bool] = True

    def write(self, path: Path) -> None:
        """Write the artifact, whole or not at all; floats read back exactly."""
        text = self.model_dump_json(indent=2)
        write_text(path, seal_json(text) if self.sealed else text + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ValueError: the file is missing, damaged, or of another schema; names the key and the stage to run.
        """
        try:
            content, whole = open_json(path.read_bytes())
            value = cls.model_validate_json(content)
        except ValidationError as error:
            raise ValueError(describe_error(path, error, remedy=f"delete it and run the stage `{cls.written_by}`")) from error
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise ValueError(
                f"{path} - expected {cls.described_as} - found {error.strerror} - run the stage `{cls.written_by}`"
            ) from error
        # A wrong value is told by its key, before the seal that it has broken.
        if cls.sealed and not whole:
            raise broken_seal(path, stage=cls.written_by)
        return value


def read_section(path: Path, section: type[AnySection]) -> AnySection:
    """Read and check a YAML file.

    Args:
        path: a YAML 1.2 file, as DVC reads it.
        section: its schema.

    Raises:
        ValueError: the file is missing, is no YAML mapping, or a value is wrong; names the key path.
    """
    try:
        return section.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ValueError(describe_error(path, error, remedy="correct the value")) from error


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - YAML is what it is; the caller checks it
    """Read a YAML 1.2 file, as DVC does.

    Raises:
        ValueError: the file is missing or is no YAML.
    """
    try:
        return read_yaml_text(path.read_text(encoding="utf-8"), where=str(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} - expected YAML - found {error} - correct the line") from error
    except OSError as error:
        raise ValueError(f"{path} - expected a readable file - {error.strerror} - restore it from git") from error


def read_yaml_text(text: str, *, where: str) -> Any:  # noqa: ANN401 - likewise
    """Parse YAML 1.2.

    Raises:
        ValueError: it is no YAML; names `where` it comes from.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except RecursionError as error:
        raise ValueError(f"{where} - expected YAML - found too many levels - correct the file") from error
    except (YAMLError, ValueError) as error:
        raise ValueError(f"{where} - expected YAML - found {' '.join(str(error).split())} - correct the line") from error


def describe_error(path: Path, error: ValidationError, *, remedy: str) -> str:
    """Put the first of a file's errors in one line: key path, what was expected, what was found, what to do."""
    first = error.errors()[0]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "value_error" and isinstance(first["input"], dict):
        # Where several values contradict each other, the message names them and the section around them says nothing more.
        message = first["msg"].removeprefix("Value error, ")
        remedies = [] if " - " in message else [remedy]
        return " - ".join([str(path), *([key] if key else []), f"{message}{more}", *remedies])
    found = "nothing" if first["type"] == "missing" else _SHORT.repr(first["input"])
    return f"{path} - {key or 'the whole file'} - {first['msg']} - found {found[:80]}{more} - {remedy}"
