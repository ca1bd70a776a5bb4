"""Brings up the loopback of a network namespace where there is no `ip`."""

import fcntl
import socket
import struct

SET_FLAGS, UP_AND_RUNNING = 0x8914, 0x41
fcntl.ioctl(socket.socket(), SET_FLAGS, struct.pack("16sH14s", b"lo", UP_AND_RUNNING, b""))
