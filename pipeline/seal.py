"""Files that know whether they are whole: each carries the sha256 of its own content, and its reader compares.

DVC's hashes tell one artifact from another, but DVC looks at a file's time before its bytes, and a stage by hand does not ask it.
A damaged byte in a number is still a number. So text carries a last line, JSON a last key; tensors have their header
(`tensor_files.py`), a store its group's attributes; chunks of Zarr and PNG have checksums of their own. Images and label files
have theirs in the sample lists.
"""

import hashlib
import re
from pathlib import Path

_JSON = re.compile(rb',\n  "sha256": "([0-9a-f]{64})"\n}\n\Z')
_TEXT = re.compile(rb"# sha256 ([0-9a-f]{64})\n\Z")


def seal_json(text: str) -> str:
    """Return an object of JSON, indented by two spaces, with a last key `sha256`: that of the text."""
    return f'{text.removesuffix("}").rstrip()},\n  "sha256": "{_sha256(text.encode())}"\n}}\n'


def open_json(content: bytes) -> tuple[bytes, bool]:
    """Return what `seal_json` was given, and whether it is whole; content without a seal is returned as it is."""
    return _open(_JSON, content, ending=b"\n}")


def seal_text(text: str) -> str:
    """Return lines of text with one more, `# sha256 ...`: that of the lines before it."""
    return f"{text}# sha256 {_sha256(text.encode())}\n"


def open_text(content: bytes) -> tuple[bytes, bool]:
    """Return what `seal_text` was given, and whether it is whole; content without a seal is returned as it is."""
    return _open(_TEXT, content, ending=b"")


def broken_seal(path: Path, *, stage: str) -> ValueError:
    """Return the error for a file whose content is not what its sha256 says; `stage` writes it."""
    return ValueError(
        f"{path} - expected the content that its sha256 is of - found another, damaged or edited - run the stage `{stage}`"
    )


def _open(seal: re.Pattern[bytes], content: bytes, *, ending: bytes) -> tuple[bytes, bool]:
    found = seal.search(content)
    if found is None:
        return content, False
    body = content[: found.start()] + ending
    return body, _sha256(body) == found[1].decode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
