"""Tensors by name and a text in one safetensors file that knows whether it is whole."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from pipeline.files import atomic_path

# One entry that holds everything: safetensors writes several entries in an order that changes from run to run.
_ENTRY = "dars"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], text: str) -> None:
    """Write tensors and a text, whole or not at all; equal ones give equal bytes.

    Args:
        path: an existing file is replaced.
        tensors: on any device.
        text: a header for whoever reads them.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sha256 = _sha256(save(plain), text)
    with atomic_path(path) as partial:
        partial.write_bytes(save(plain, metadata={_ENTRY: json.dumps({"text": text, "sha256": sha256})}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Read what `write_tensors` wrote.

    Returns:
        The tensors, on the CPU, and the text; None where a safetensors file has none of ours.

    Raises:
        ValueError: the file is no safetensors file, or another content than it was written with; without its name.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        entry = header.get("__metadata__", {}).get(_ENTRY)
        if entry is None:
            return tensors, None
        known = json.loads(entry)
        text, sha256 = str(known["text"]), known["sha256"]
    except MemoryError:
        raise
    except Exception as error:  # safetensors and json each raise their own
        raise ValueError(" ".join(f"{error}".split()) or repr(error)) from error
    if _sha256(content, text) != sha256:
        raise ValueError("another content than its sha256 is of, damaged or edited")
    return tensors, text


def _sha256(content: bytes, text: str) -> str:
    """Return the digest of the text, of all tensors' names, types and shapes, and of their bytes."""
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    table.pop("__metadata__", None)
    total = hashlib.sha256(json.dumps([text, table], sort_keys=True).encode())
    total.update(memoryview(content)[8 + length :])
    return total.hexdigest()
