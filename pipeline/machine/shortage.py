"""What a machine is short of, in the words of Python, NumPy, torch and its libraries, and what to lower or raise."""

import errno

_WORDS = {
    "memory": (
        "out of memory",
        "can't allocate memory",
        "cannot allocate memory",
        "not enough memory",
        "unable to allocate",
        "can't allocate lock",
        "failed to map segment",  # a library at its import
        "bad_alloc",
        "bad allocation",
        "alloc_failed",  # cuBLAS, cuDNN
        "could not create a primitive",  # oneDNN has one word for many ends; its primitives want memory
        "could not create a memory",
        "could not execute a primitive",
        "error return without exception set",  # Python, where memory ends within a call
        "without setting an exception",
        "dataloader worker (pid",  # is killed by a signal
        "dataloader timed out",
    ),
    "threads": ("can't start new thread", "cannot create thread", "pthread_create", "resource temporarily unavailable"),
    "open files": ("too many open files",),
}
_SHARED = ("shared memory", "dataloader timed out")
_NUMBERS = {
    errno.ENOMEM: "memory",
    errno.EAGAIN: "threads",
    errno.EMFILE: "open files",
    errno.ENFILE: "open files",
}
_REMEDIES = {
    "memory": "lower the batch size, the window, inference.long_side, runtime.workers or runtime.loader_workers, or free memory",
    "shared memory": "give /dev/shm more room (docker run --shm-size=2g), or set runtime.loader_workers to 0",
    "threads": "lower runtime.workers and runtime.threads, raise `ulimit -u`, or free memory",
    "open files": "raise `ulimit -n`, or lower runtime.workers and runtime.loader_workers",
}
_FILE_REMEDIES = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "correct access"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free space"),
}


def describe_shortage(error: BaseException) -> str | None:
    """Return a line for an error of a machine that is short of something, None for any other error.

    The line says what there is too little of, what the library said, and what to lower or raise.
    """
    what = _shortage(error)
    if what is None:
        return None
    # An error of a worker of torch's loader is its whole traceback; the last line is the message.
    text = " ".join(str(error).strip().splitlines()[-1:]) or type(error).__name__
    return f"{what} - expected enough of it - {text[:200]} - {_REMEDIES[what]}"


def describe_os_error(error: OSError) -> str:
    """Return a line for an error of the file system: which file, what it says, what to do."""
    remedy = _FILE_REMEDIES.get(error.errno or 0, "free space or correct access")
    return f"{error.filename or 'file system'} - {error.strerror or error} - {remedy}, then run again"


def _shortage(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno in _NUMBERS:
        return _NUMBERS[error.errno]
    if not isinstance(error, MemoryError | RuntimeError | ImportError | SystemError):
        return None
    text = str(error).lower()
    found = next((what for what, words in _WORDS.items() if any(word in text for word in words)), None)
    if isinstance(error, MemoryError):
        found = "memory"
    if found is not None and any(word in text for word in _SHARED):
        return "shared memory"
    return found
