"""TLS of a running node, with ends that are not ours: the openssl program and Python's ssl.
The service is test/service/tls_user.lua."""

import shutil
import signal
import socket
import ssl

from certificates import Files
from harness import Node, Process, case, connect, free_port, main, recv_exactly, run, wait_closed


class TlsNode(Node):
    def __init__(self, certificate, **settings):
        self.port = free_port()
        super().__init__(start="tls_user", tls_port=self.port, tls_certificate=certificate,
                         **settings)
        self.wait_log("listening")


def client_context(files, certificate=None):
    context = ssl.create_default_context(cafile=str(files.authority))
    if certificate:
        context.load_cert_chain(str(certificate))
    return context


def secure(port, context, name="a.test"):
    return context.wrap_socket(connect(port), server_hostname=name)


def ask(connection, line):
    connection.sendall(line.encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        piece = connection.recv(4096)
        assert piece, f"the stream ended after {answer}"
        answer += piece
    return answer.decode()[:-1]


def server_file(files):
    return files.make("server", "DNS:a.test,IP:127.0.0.1")


@case
def the_openssl_program_is_a_client_of_ours():
    with Files() as files, TlsNode(server_file(files)) as node:
        client = Process("openssl", "s_client", "-connect", f"127.0.0.1:{node.port}", "-CAfile",
                         files.authority, "-verify_return_error", "-verify_hostname", "a.test",
                         "-servername", "a.test", "-alpn", "lines", "-quiet")
        client.write("hello\n")
        client.wait_log("^hello$")
        client.write("info\n")
        client.wait_log(r"^TLSv1\.3 lines a\.test -$")
        client.end_input()
        client.kill()
        node.wait_log("refused|left|cut off")


@case
def the_openssl_program_is_a_server_of_ours():
    with Files() as files:
        file, port = server_file(files), free_port()
        server = Process("openssl", "s_server", "-accept", str(port), "-cert", file, "-rev")
        server.wait_log("ACCEPT")
        with TlsNode(file, tls_trusted=files.authority) as node:
            with secure(node.port, client_context(files)) as control:
                assert ask(control, f"open {port} a.test") == "got olleh"
                failed = ask(control, f"open {port} b.test")
                assert failed.startswith("failed TLS: the peer's certificate is refused: "), failed
                assert "hostname mismatch" in failed, failed
        server.kill()


@case
def both_versions_carry_a_megabyte_each_way():
    with Files() as files, TlsNode(server_file(files)) as node:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context(files)
            context.minimum_version = context.maximum_version = version
            with secure(node.port, context) as client:
                line = b"x" * 1023 + b"\n"
                for _ in range(1024):
                    client.sendall(line)
                    assert recv_exactly(client, len(line)) == line
                client.unwrap()  # both sides say that it is over


@case
def clients_may_have_to_show_a_certificate():
    with Files() as files:
        good = files.make("alice", "DNS:alice.test")
        bad = files.make("mallory", "DNS:alice.test", signed=False)
        with TlsNode(server_file(files), tls_authorities=files.authority) as node:
            with secure(node.port, client_context(files, good)) as client:
                assert ask(client, "info").endswith(" CN=alice")
            for certificate in (None, bad):
                try:
                    with secure(node.port, client_context(files, certificate)) as client:
                        ask(client, "hello")
                except (ssl.SSLError, ConnectionError):
                    pass
                else:
                    raise AssertionError("it was let in")
                node.wait_log("refused TLS: ")


def common_name(connection):
    return dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"]


@case
def a_signal_brings_a_new_certificate_and_broken_files_do_no_harm():
    with Files() as files:
        path = server_file(files)
        fresh = files.make("fresh", "DNS:a.test")
        with TlsNode(path) as node, secure(node.port, client_context(files)) as old:
            assert common_name(old) == "server"
            shutil.copy(fresh, path)
            assert ask(old, "reload") == "0"
            with secure(node.port, client_context(files)) as client:
                assert common_name(client) == "fresh"
            path.write_text("nonsense\n")
            node.signal(signal.SIGHUP)
            node.wait_log(f"error: tls: {path} has no certificate.*stays in use")
            assert ask(old, "reload") == "1"
            with secure(node.port, client_context(files)) as client:
                assert common_name(client) == "fresh"
            shutil.copy(files.make("newest", "DNS:a.test"), path)
            node.signal(signal.SIGHUP)
            assert ask(old, "reload") == "0"  # whichever was first
            with secure(node.port, client_context(files)) as client:
                assert common_name(client) == "newest"
            assert ask(old, "still here") == "still here"


@case
def peers_that_do_not_shake_hands_cost_only_themselves():
    with Files() as files, TlsNode(server_file(files), tls_handshake_timeout=1) as node:
        with secure(node.port, client_context(files)) as client:
            assert ask(client, "first") == "first"
            base = node.fd_count()
            silent = connect(node.port)
            for i in range(300):
                with socket.create_connection(("127.0.0.1", node.port)) as peer:
                    peer.sendall((b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02", b"")[i % 3])
                    if i % 3 == 0:
                        wait_closed(peer)
            assert ask(client, "still served") == "still served"
            wait_closed(silent)
            node.wait_log("refused TLS: no handshake within 1 s")
            silent.close()
            node.wait_fds(base)


@case
def a_stream_that_is_cut_off_is_told_apart_from_its_end():
    with Files() as files, TlsNode(server_file(files)) as node:
        with secure(node.port, client_context(files)) as client:
            assert ask(client, "x") == "x"
            client.unwrap().close()
            node.wait_log("left")
        client = secure(node.port, client_context(files))
        assert ask(client, "x") == "x"
        client.shutdown(socket.SHUT_WR)  # of the descriptor: no word of TLS
        node.wait_log("TLS: the stream was cut off")
        client.close()


@case
def a_certificate_that_is_not_there_fails_the_service():
    with Node(start="tls_user", tls_port=free_port(), tls_certificate="/nowhere.pem") as node:
        node.expect_status(1)
        node.wait_log("error: tls: /nowhere.pem cannot be opened: No such file or directory")
        node.wait()


if __name__ == "__main__":
    main()
