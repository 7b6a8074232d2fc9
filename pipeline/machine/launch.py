"""One stage in several processes of this machine, as `torchrun --standalone` starts them."""

import logging
import os
import signal
import socket
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence

from pipeline.machine.lifetime import LAUNCHER
from pipeline.machine.process_group import MEETING

LOST_ANOTHER = 3
"""Exit code of one of several processes that ends because it has lost another."""


def launch(processes: int, module: str, arguments: Sequence[str]) -> bool:
    """Run a module, as by `python -m`, with arguments in several processes and wait for them.

    Returns:
        Whether all of them ended well; those that failed have said themselves what was wrong.

    Raises:
        ValueError: one of them was killed, and so could say nothing.
        KeyboardInterrupt: this process was told to end, by the signal that is its argument; it has ended the others.
    """
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # Where a process fails, it says so itself; the engine's own account of it is a screen long.
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="dars-") as folder:
        # Processes of one machine meet in files: a store of torch's own listens to the whole network and asks nobody's name.
        loopback = next((name for _, name in socket.if_nameindex() if name in {"lo", "lo0"}), None)
        os.environ.update({LAUNCHER: str(os.getpid()), MEETING: f"{folder}/stage", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"})
        if loopback is not None:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint=f"{folder}/launcher",
            rdzv_configs={"store_type": "file"},
            local_addr="localhost",
            max_restarts=0,
        )
        return _run(lambda: elastic_launch(config, sys.executable)("-m", module, *arguments), processes)


def _run(start: Callable[[], object], processes: int) -> bool:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        start()
    except SignalException as error:
        raise KeyboardInterrupt(int(error.sigval)) from error
    except ChildFailedError as error:
        failures = {rank: failure for rank, failure in error.failures.items() if failure.exitcode != LOST_ANOTHER}
        if not failures or any(failure.exitcode > 0 for failure in failures.values()):
            return False
        rank, failure = next(iter(failures.items()))
        remedies = {signal.SIGKILL: "free memory or lower runtime.processes, then run again", signal.SIGTERM: "run again"}
        killer = signal.Signals(-failure.exitcode)
        raise ValueError(
            f"process {rank} of {processes} - expected it to end by itself - ended by {killer.name}"
            f" - {remedies.get(killer, 'see what it said')}"
        ) from error
    return True
