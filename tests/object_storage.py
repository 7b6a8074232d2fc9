"""An S3 server of this machine, without an account and without a network."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "bucket"


class ObjectStorage:
    """The server; it keeps its objects while it is down."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._server: ThreadedMotoServer | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to know to use it: the names of Amazon's own tools."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.stop()

    def client(self) -> Any:
        return boto3.client("s3")


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """Start a server with an empty bucket, and point this process at it."""
    storage = ObjectStorage()
    before = dict(os.environ)
    os.environ.update(storage.environment)
    storage.start()
    try:
        storage.client().create_bucket(Bucket=BUCKET)
        yield storage
    finally:
        storage.stop()
        os.environ.clear()
        os.environ.update(before)
