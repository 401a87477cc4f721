"""What a hostile or broken network does, while an ordinary client goes on: nobody else notices,
every waiting task is told, and memory and descriptors return to what they were."""

import os
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from harness import (
    SANITIZERS,
    Skip,
    case,
    connect,
    main,
    recv_exactly,
    wait_closed,
    wait_until,
)
from socket_user import SocketUser

# Sanitizers keep freed memory for a while and add to every block.
MEMORY_SLACK_KB = (400 if SANITIZERS else 48) * 1024
# Clients that do not read. By hand, 1 MB/s each for a minute: PUSH_KIB=100 OUTPUT_LIMIT_MIB=64.
MUTE_CLIENTS = 40 if SANITIZERS else 200
PUSH_KIB = int(os.environ.get("PUSH_KIB", "800"))
OUTPUT_LIMIT_MIB = int(os.environ.get("OUTPUT_LIMIT_MIB", "1"))
MUTE_DEADLINE_S = 240
# Look-ups under way while the name server says nothing.
LOOK_UPS = 50
LOOK_UP_CS = 300


class Bystander:
    """A client that asks again and again, and must be answered each time."""

    def __init__(self, node):
        self.connection = node.ask("echo")
        self.is_wanted = True
        self.answers = 0
        self.failure = None
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, _error, _trace):
        self.is_wanted = False
        self.thread.join()
        self.connection.close()
        if kind is None and self.failure:
            raise self.failure

    def _ask(self):
        try:
            while self.is_wanted:
                question = b"question %d\n" % self.answers
                self.connection.sendall(question)
                assert recv_exactly(self.connection, len(question)) == question
                self.answers += 1
        except Exception as failure:  # told by __exit__
            self.failure = failure

    def wait_answers(self, count):
        """Waits for so many more answers."""
        wanted = self.answers + count
        wait_until(
            lambda: self.failure or self.answers >= wanted,
            f"{count} more answers; there were {self.answers}",
        )


def connect_with_small_window(node, request):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", node.port))
    connection.sendall(request.encode() + b"\n")
    return connection


@case
def clients_that_never_read_hurt_only_themselves():
    with SocketUser(socket_output_limit=OUTPUT_LIMIT_MIB << 20) as node:
        with Bystander(node) as bystander:
            bystander.wait_answers(10)
            fds, memory_kb = node.fd_count(), node.rss_kb()
            mute = [
                connect_with_small_window(node, f"push {PUSH_KIB}")
                for _ in range(MUTE_CLIENTS)
            ]
            most_kb = 0

            def all_are_cut_off():
                nonlocal most_kb
                most_kb = max(most_kb, node.rss_kb())
                return node.text().count("the peer does not read") >= len(mute)

            wait_until(all_are_cut_off, "all who do not read are cut off", MUTE_DEADLINE_S)
            # The limit (each, and all together: 1 GiB), and the pieces that went over it.
            bound_kb = min(MUTE_CLIENTS * OUTPUT_LIMIT_MIB * 1024, 1 << 20)
            bound_kb += MUTE_CLIENTS * PUSH_KIB
            bound_kb += bound_kb // 4  # the allocator rounds blocks up
            assert most_kb < memory_kb + bound_kb + MEMORY_SLACK_KB, f"{most_kb} KB"
            node.wait_fds(fds)
            bystander.wait_answers(10)
            for connection in mute:
                connection.close()
        wait_until(
            lambda: node.rss_kb() < memory_kb + MEMORY_SLACK_KB,
            f"memory to return to {memory_kb} KB",
        )


def silent_name_server():
    """A UDP socket at port 53 of a loopback address of its own, that never answers."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        server.bind(("127.99.0.1", 53))
    except PermissionError:
        raise Skip("only root has port 53") from None
    return server


class NodeWithNameServer(SocketUser):
    """A node that sees another /etc, with that name server and no hosts file, in a mount namespace
    of its own."""

    def __init__(self, name_server):
        if subprocess.run(("unshare", "--mount", "true"), capture_output=True).returncode:
            raise Skip("no mount namespaces here")
        self.etc = Path(tempfile.mkdtemp(prefix="skynet-test-"))
        (self.etc / "resolv.conf").write_text(f"nameserver {name_server}\n")
        super().__init__()

    def close(self):
        try:
            super().close()
        finally:
            shutil.rmtree(self.etc)

    def command(self, words):
        script = f'mount --bind {self.etc} /etc && exec "$@"'
        return ("unshare", "--mount", "sh", "-c", script, "sh", *words)


@case
def a_name_server_that_never_answers_holds_nobody_up():
    with silent_name_server() as server, NodeWithNameServer("127.99.0.1") as node:
        with Bystander(node) as bystander:
            bystander.wait_answers(10)
            fds = node.fd_count()
            asked = [node.ask(f"open nobody.example:80 {LOOK_UP_CS}") for _ in range(LOOK_UPS)]
            server.settimeout(30)
            assert server.recv(512)  # it was asked, and says nothing
            bystander.wait_answers(100)
            for connection in asked:
                assert wait_closed(connection) == b"timeout\n"
            # One look-up may still be under way, on two descriptors of the resolver's.
            node.wait_fds(fds + 2)
            bystander.wait_answers(10)


@case
def localhost_is_known_without_a_hosts_file():
    # Nobody listens there.
    with NodeWithNameServer("127.99.0.2") as node:
        with node.ask(f"open localhost:{node.port} 3000") as connection:
            assert wait_closed(connection) == b"opened\n"


@case
def with_few_descriptors_a_flood_is_refused_and_others_go_on():
    with SocketUser() as node:
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (64, 64))
        with Bystander(node) as bystander:
            bystander.wait_answers(10)
            fds = node.fd_count()
            flood = [connect(node.port) for _ in range(200)]
            refused = 0
            for connection in flood[-100:]:
                refused += wait_closed(connection) == b""
            assert refused == 100
            bystander.wait_answers(100)
            for connection in flood:
                connection.close()
            node.wait_fds(fds)
            with node.ask("echo") as connection:
                connection.sendall(b"still there?\n")
                assert recv_exactly(connection, 13) == b"still there?\n"


main()
