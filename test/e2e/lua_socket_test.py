"""skynet.socket against real peers that end, reset, dawdle and flood at every step: each hurts only
itself, every waiting task is told, and nothing is left."""

import re
import socket
import struct

from harness import (
    SANITIZERS,
    case,
    connect,
    main,
    wait_until,
    recv_exactly,
    wait_closed,
)
from socket_user import SocketUser

MIB = 1 << 20
TEXT = b"line one\n\nline two\nthe rest"
ANSWER = b"line one\n\nline two\nrest:the rest"
# Sanitizers keep freed memory for a while and add to every block.
MEMORY_SLACK_KB = (400 if SANITIZERS else 48) * 1024


class User(SocketUser):
    """One that can be asked how it is."""

    def check(self):
        """It works as ever."""
        with self.ask("echo") as connection:
            connection.sendall(TEXT)
            connection.shutdown(socket.SHUT_WR)
            assert wait_closed(connection) == ANSWER


def count_done(node, mode):
    return len(re.findall(rf"\] done \d+ {mode}$", node.text(), re.MULTILINE))


def reset(connection):
    """Ends a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@case
def a_client_may_end_its_stream_at_every_byte():
    with User() as node:
        base = node.fd_count()
        for cut in range(len(TEXT) + 1):
            connection = node.ask("echo")
            connection.sendall(TEXT[:cut])
            connection.shutdown(socket.SHUT_WR)
            lines, rest = TEXT[:cut].rpartition(b"\n")[::2]
            expected = (lines + b"\n" if b"\n" in TEXT[:cut] else b"") + b"rest:" + rest
            answer = wait_closed(connection)
            assert answer == expected, (cut, answer)
            connection.close()
        node.wait_fds(base)


@case
def a_client_may_reset_at_every_byte():
    with User() as node:
        base = node.fd_count()
        request = b"echo\n" + TEXT
        for cut in range(len(request) + 1):
            connection = connect(node.port)
            connection.sendall(request[:cut])
            reset(connection)
        node.wait_fds(base)
        node.check()


@case
def bytes_may_come_one_by_one():
    with User() as node:
        count = f"count {len(TEXT)}"
        for request, expected in (("echo", ANSWER), (count, b"sum:%d" % sum(TEXT))):
            connection = node.ask(request)
            for i in range(len(TEXT)):
                connection.send(TEXT[i : i + 1])
            connection.shutdown(socket.SHUT_WR)
            assert wait_closed(connection) == expected


@case
def too_few_bytes_are_told_with_the_end():
    with User() as node:
        connection = node.ask("count 1000")
        connection.sendall(b"x" * 999)
        connection.shutdown(socket.SHUT_WR)
        assert wait_closed(connection) == b"short:999"


@case
def a_large_count_is_read_whole():
    with User() as node:
        size = 20 * MIB
        connection = node.ask(f"count {size}")
        connection.sendall(b"\x02" * size)
        assert wait_closed(connection) == b"sum:%d" % (2 * size)


@case
def a_server_that_closes_has_sent_everything_first():
    with User() as node:
        connection = node.ask("count 4")
        connection.sendall(b"abcd and what nobody reads")
        assert wait_closed(connection) == b"sum:%d" % sum(b"abcd")


@case
def a_reset_in_the_middle_of_a_flood_is_told():
    with User() as node:
        base = node.fd_count()
        connections = [node.ask("flood 32") for _ in range(8)]
        for connection in connections:
            recv_exactly(connection, 100000)
            reset(connection)
        for _ in connections:
            node.wait_log(r"\] done \d+ flood")
        node.wait_fds(base)
        assert "socket: error on" in node.text()
        node.check()


@case
def a_client_that_never_reads_is_cut_off():
    with User(socket_output_limit=4 * MIB, socket_linger=1) as node:
        base, memory = node.fd_count(), node.rss_kb()
        connections = [node.ask("flood 64") for _ in range(8)]
        for _ in connections:
            node.wait_log(r"socket_output_limit")
            node.check()
        wait_until(lambda: count_done(node, "flood") == 8, "all writers have been told")
        assert node.rss_kb() < memory + MEMORY_SLACK_KB + 8 * 4 * 1024 * 2, node.rss_kb()
        for connection in connections:
            reset(connection)
        node.wait_fds(base)


@case
def a_client_that_nobody_reads_waits():
    with User() as node:
        memory = node.rss_kb()
        connections = [node.ask("mute") for _ in range(20)]
        for connection in connections:
            connection.setblocking(False)
        idle = 0
        while idle < 50:  # until the kernel takes no more of any
            sent = 0
            for connection in connections:
                try:
                    sent += connection.send(b"x" * 65536)
                except BlockingIOError:
                    pass
            idle = 0 if sent else idle + 1
        node.check()
        assert node.rss_kb() < memory + MEMORY_SLACK_KB, node.rss_kb() - memory
        for connection in connections:
            connection.close()


@case
def a_line_over_the_limit_ends_only_its_connection():
    with User() as node:
        base = node.fd_count()
        other = node.ask("limit 100")
        other.sendall(b"short\n")
        assert recv_exactly(other, 6) == b"short\n"
        for size in (101, 65536, 4 * MIB):
            connection = node.ask("limit 100")
            try:
                connection.sendall(b"x" * size)
            except ConnectionError:
                pass  # it was cut off before
            wait_closed(connection)
            connection.close()
            node.wait_log("socket buffer overflow")
        other.sendall(b"still here\n")
        assert recv_exactly(other, 11) == b"still here\n"
        other.close()
        node.wait_fds(base)


@case
def who_says_nothing_is_left():
    with User() as node:
        connection = node.ask("patience 5")
        connection.sendall(b"unfinished")
        assert wait_closed(connection) == b"timeout\n"


@case
def a_server_that_does_not_answer_is_given_up():
    with User() as node, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        port = silent.getsockname()[1]
        base = node.fd_count()
        answers = []
        for _ in range(4):  # a queue of none takes one or two
            connection = node.ask(f"open 127.0.0.1:{port} 20")
            answers.append(wait_closed(connection))
        assert answers[-1] == b"timeout\n", answers
        node.wait_fds(base)


@case
def connections_are_taken_over_by_services_of_their_own():
    with User(user_agents=True) as node:
        base = node.fd_count()
        for _ in range(5):
            node.check()
        connection = node.ask("mute")
        reset(connection)
        node.wait_log(r"\] done \d+ mute")
        node.wait_fds(base)


@case
def when_a_service_ends_all_who_wait_for_it_are_told():
    with User() as node:
        base = node.fd_count()
        waiting = [node.ask(f"count {MIB}") for _ in range(50)]
        for connection in waiting:
            connection.sendall(b"part")
        node.check()
        node.ask("die")
        for connection in waiting:
            wait_closed(connection)
        node.wait_fds(base)


@case
def a_node_ends_while_tasks_wait():
    node = User()
    waiting = [node.ask("echo") for _ in range(20)]
    for connection in waiting:
        connection.sendall(b"unfinished")
    node.check()
    node.stop()
    for connection in waiting:
        wait_closed(connection)


@case
def many_clients_come_and_go():
    with User() as node:
        base = node.fd_count()
        for _ in range(20):
            connections = [node.ask("echo") for _ in range(25)]
            for i, connection in enumerate(connections):
                connection.sendall(TEXT)
                if i % 3 == 0:
                    reset(connection)
            for i, connection in enumerate(connections):
                if i % 3 != 0:
                    connection.shutdown(socket.SHUT_WR)
                    assert wait_closed(connection) == ANSWER
                    connection.close()
        node.wait_fds(base)


main()
