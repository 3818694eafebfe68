# SPDX-License-Identifier: Apache-2.0
"""A stream to a port of a node's own loopback, through its ssh connection.

The near end is one of a pair of sockets in this process: no port is opened on the controller that others could use.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from hakuna.transports.ssh_connect import SshTroubleError

if TYPE_CHECKING:
    import fabric  # type: ignore[import-untyped]  # fabric ships no types
    import paramiko

_PIECE = 1 << 16


def tunnel(connect: Callable[[], fabric.Connection], port: int, timeout: float) -> socket.socket:
    """A socket whose other end is ``127.0.0.1:port`` on the node; closing it closes the stream.

    Raises:
        OSError: no connection to the node, or nothing listens there (ConnectionRefusedError).
    """
    from paramiko.ssh_exception import ChannelException, SSHException  # see load_fabric

    try:
        transport = connect().transport
        channel = transport.open_channel("direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0), timeout=timeout)
    except SshTroubleError as error:
        raise OSError(error.trouble.detail) from None  # these words are the ones to show
    except ChannelException as error:
        if error.code == 1:
            raise OSError("sshd forbids forwarding (AllowTcpForwarding, PermitOpen)") from None
        raise ConnectionRefusedError(f"nothing listens on 127.0.0.1:{port} of the node ({error.text})") from None
    except (SSHException, EOFError) as error:
        raise OSError(f"the ssh connection failed: {error}") from error
    near, far = socket.socketpair()
    threading.Thread(target=_outward, args=(far, channel), name="hakuna-tunnel-out", daemon=True).start()
    threading.Thread(target=_inward, args=(channel, far), name="hakuna-tunnel-in", daemon=True).start()
    return near


def _outward(far: socket.socket, channel: paramiko.Channel) -> None:
    """Bytes of the request; its end (the near socket was closed) ends the whole stream."""
    with contextlib.suppress(OSError, EOFError):
        while data := far.recv(_PIECE):
            channel.sendall(data)
    channel.close()


def _inward(channel: paramiko.Channel, far: socket.socket) -> None:
    """Bytes of the answer; then the far socket is closed, which the near one reads as the end."""
    with contextlib.suppress(OSError, EOFError):
        while data := channel.recv(_PIECE):
            far.sendall(data)
    with contextlib.suppress(OSError):
        far.shutdown(socket.SHUT_RDWR)
    far.close()
