"""Ports of loopback that nobody has, below the range from which the kernel takes
ports for connections: what listens there later finds them free.

    python3 free_ports.py N
"""
import random
import socket
import sys

given = set()


def free_port():
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in given:
            given.add(port)
            return port


if __name__ == "__main__":
    print(*(free_port() for _ in range(int(sys.argv[1]))))
