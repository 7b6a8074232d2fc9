"""What a machine is short of becomes one line that says what to lower or raise; any other error is left alone."""

import errno

import pytest

from pipeline.machine.shortage import describe_os_error, describe_shortage


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (MemoryError(), "memory", "lower the batch size"),
        (MemoryError("Unable to allocate 7.45 GiB for an array"), "memory", "lower the batch size"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"), "memory", "inference.long_side"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), "memory", "window"),
        (RuntimeError("could not create a primitive"), "memory", "lower the batch size"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "memory", "lower the batch size"),
        (RuntimeError("std::bad_alloc"), "memory", "lower the batch size"),
        (RuntimeError("can't allocate lock"), "memory", "lower the batch size"),
        (SystemError("error return without exception set"), "memory", "lower the batch size"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "memory", "free memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory", "lower the batch size"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "memory", "runtime.loader_workers"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out"
         " of shared memory."), "shared memory", "--shm-size"),
        (RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  ...\n"
         "RuntimeError: unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)\n"),
         "shared memory", "runtime.loader_workers to 0"),
        (RuntimeError("DataLoader timed out after 1800.0 seconds"), "shared memory", "runtime.loader_workers to 0"),
        (RuntimeError("can't start new thread"), "threads", "runtime.workers"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "threads", "ulimit -u"),
        (OSError(errno.EMFILE, "Too many open files"), "open files", "ulimit -n"),
    ],
)  # fmt: skip
def test_a_shortage_is_one_line_with_its_remedy(error: Exception, what: str, remedy: str) -> None:
    line = describe_shortage(error)
    assert line is not None
    assert line.startswith(f"{what} - ")
    assert remedy in line
    assert "\n" not in line
    assert "Traceback" not in line


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("size mismatch, m1: [a x b], m2: [c x d]"),
        RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nTraceback ...\nRuntimeError: shapes differ"),
        ValueError("out of memory"),
        OSError(errno.ENOSPC, "No space left on device"),
        ImportError("No module named 'zarr'"),
    ],
)
def test_any_other_error_is_none(error: Exception) -> None:
    assert describe_shortage(error) is None


def test_an_error_of_the_file_system_names_file_and_remedy() -> None:
    assert describe_os_error(PermissionError(errno.EACCES, "Permission denied", "store")) == (
        "store - Permission denied - correct access, then run again"
    )
    assert describe_os_error(OSError(errno.ENOSPC, "No space left on device")).endswith("free space, then run again")
