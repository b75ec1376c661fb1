"""Which ports are taken, and by which process: the most common reason why a service cannot start."""

import socket

import psutil


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now (sockets that are closing do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def holder(port: int) -> str:
    """The process that has the port: `PID 123 (postgres)`, or `another process` if we may not see it."""
    try:
        connections = psutil.net_connections(kind="inet")
    except psutil.Error:
        return "another process"
    for one in connections:
        if one.laddr and one.laddr.port == port and one.pid:
            try:
                return f"PID {one.pid} ({psutil.Process(one.pid).name()})"
            except psutil.Error:
                return f"PID {one.pid}"
    return "another process"


def taken(port: int, setting: str) -> str | None:
    """A sentence for a person if the port is taken; None if it is free."""
    if is_free(port):
        return None
    return f"port {port} is taken by {holder(port)}: stop it, or set PACELINE_{setting.upper()}"
