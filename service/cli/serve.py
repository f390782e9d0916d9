"""`arbiter serve`: the service alone, over a store that is there already."""

import os
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import uvicorn

from feature_store.store import connect
from service.api.server import OPTIONS
from service.cli.console import err, fail
from service.cli.errors import explained
from service.cli.options import Host, Port, RedisUrl, Workers, Workspace
from service.cli.worker import hand_over
from service.observability.metrics import runs
from service.runtime.service import load
from service.settings import Settings

READY_WITHIN = 120.0
WORKER_PATIENCE = 60
"""Seconds for which a worker may be silent until it counts as hung and is started again. On a busy machine
it takes longer than uvicorn's five to import what it needs: it would be ended and begun again for ever."""
METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def serve(
    workspace: Workspace,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    redis_url: RedisUrl = None,
) -> None:
    """Serve a workspace. Every option is also a setting `ARBITER_*`."""
    with explained():
        settings = chosen_settings(
            workspace=workspace, host=host, port=port, workers=workers, redis_url=redis_url
        )
        check_address(settings)
        prepare(settings)
        start(settings, announce=lambda: err.print(f"Serving {workspace} on {base_url(settings)}"))


def chosen_settings(**given: object) -> Settings:
    """The settings of the environment with those given on the command line over them."""
    settings = Settings.model_validate(
        Settings().model_dump() | {name: value for name, value in given.items() if value is not None}
    )
    if settings.redis_url is not None:
        try:
            connect(settings.redis_url)  # only looks at the URL: it connects at its first use
        except ValueError as error:
            fail(f"ARBITER_REDIS_URL (--redis-url) can't be used: {error}")
    return settings


def base_url(settings: Settings) -> str:
    """Where the service is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{host}:{settings.port}"


def check_address(settings: Settings) -> None:
    """Fail with a clear message where the address can't be listened on, before anything long is started."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.port))
    except OSError as error:
        fail(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            f"Choose another with ARBITER_PORT (or --port), for example ARBITER_PORT={settings.port + 1}."
        )


def prepare(settings: Settings) -> None:
    """Load everything, and fail with the reasons where something is not fit to serve: workers would only die
    of it. A single worker is this process, and serves what is loaded."""
    loaded = load(settings)
    if settings.workers == 1:
        hand_over(loaded)


def start(settings: Settings, announce: Callable[[], None]) -> None:
    """Serve until interrupted; `announce` is called once the service is ready."""
    for name, value in settings.model_dump(exclude={"token_secret"}).items():
        if value is not None:
            os.environ[f"ARBITER_{name.upper()}"] = str(value)
    metrics = _fresh_metrics_folder(settings.data) if settings.workers > 1 else None
    if metrics is not None:
        os.environ[METRICS_VARIABLE] = str(metrics)
    threading.Thread(target=_announce_when_ready, args=(settings, announce), daemon=True).start()
    try:
        uvicorn.run(
            "service.cli.worker:create_worker",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            log_level="warning",
            **OPTIONS,
            timeout_graceful_shutdown=5,
            timeout_worker_healthcheck=WORKER_PATIENCE,
        )
    except KeyboardInterrupt:
        pass  # uvicorn has shut down in order and only passes the signal on
    finally:
        if metrics is not None:
            shutil.rmtree(metrics, ignore_errors=True)


def _fresh_metrics_folder(data: Path) -> Path:
    """An empty folder for the workers' metrics: files of an earlier run would be counted in."""
    folder = (data / "metrics" / str(os.getpid())).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.parent.iterdir():
        if other == folder or not runs(other.name):  # of a run that was killed
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir()
    return folder


def _announce_when_ready(settings: Settings, announce: Callable[[], None]) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy can't reach this machine
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        try:
            with direct.open(f"{base_url(settings)}/health/ready", timeout=1):
                announce()
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
