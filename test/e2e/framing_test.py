"""Every framing of the gate and the client service, with real connections: what goes in comes back,
bad input costs only its sender, and every end leaves nothing behind."""

import base64
import hashlib
import http.server
import os
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

from harness import (
    SANITIZERS,
    Node,
    Process,
    Skip,
    case,
    connect,
    free_port,
    main,
    recv_exactly,
    wait_closed,
    wait_until,
)

# A browser takes its time to start on a busy machine.
BROWSER_DEADLINE_S = 100

# --- the client's side of each framing --------------------------------------------------------


class Lengths:
    """A length, then as many bytes."""

    def __init__(self, name, form):
        self.name, self.form, self.options = name, form, ""
        self.longest = min(256 ** struct.calcsize(form) - 1, 100000)

    def encode(self, body):
        return struct.pack(self.form, len(body)) + body

    def read(self, stream):
        (size,) = struct.unpack(self.form, stream.exactly(struct.calcsize(self.form)))
        return stream.exactly(size)


class Marks:
    """Bytes up to a mark."""

    longest = 100000

    def __init__(self, name, mark, options=""):
        self.name, self.mark, self.options = name, mark, options

    def encode(self, body):
        return body.replace(self.mark[-1:], b"_") + self.mark

    def read(self, stream):
        return stream.until(self.mark)


class WebSocket:
    """Masked messages, some of them in fragments."""

    name, options, longest = "websocket", "", 100000

    def __init__(self):
        self.chance = random.Random(6455)

    def frame(self, first, body):
        mask = self.chance.randbytes(4)
        size = len(body)
        if size < 126:
            head = struct.pack(">BB", first, 0x80 | size)
        elif size < 65536:
            head = struct.pack(">BBH", first, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", first, 0x80 | 127, size)
        return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))

    def encode(self, body):
        if self.chance.random() < 0.5:
            return self.frame(0x82, body)
        cut = self.chance.randrange(len(body) + 1)
        return self.frame(0x02, body[:cut]) + self.frame(0x80, body[cut:])

    def read_frame(self, stream):
        """(first byte, payload) of the next frame."""
        first, size = stream.exactly(2)
        if size == 126:
            (size,) = struct.unpack(">H", stream.exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", stream.exactly(8))
        return first, stream.exactly(size)

    def read(self, stream):
        first, body = self.read_frame(stream)
        assert first == 0x82, hex(first)
        return body


LENGTHS = [
    Lengths("u8", ">B"),
    Lengths("u16be", ">H"),
    Lengths("u16le", "<H"),
    Lengths("u32be", ">I"),
    Lengths("u32le", "<I"),
]
MARKS = [
    Marks("line", b"\n"),
    Marks("nul", b"\0"),
    Marks("delimiter", b"\r\n", "delimiter=%0d%0a"),
    Marks("delimiter", b"--end--", "delimiter=--end--"),
]
FRAMINGS = [*LENGTHS, *MARKS, WebSocket()]


class Stream:
    """What comes back on a connection."""

    def __init__(self, connection):
        self.connection = connection
        self.kept = b""

    def more(self):
        piece = self.connection.recv(65536)
        assert piece, f"the stream ended after {self.kept[:100]!r}"
        self.kept += piece

    def exactly(self, size):
        while len(self.kept) < size:
            self.more()
        taken, self.kept = self.kept[:size], self.kept[size:]
        return taken

    def until(self, mark):
        while mark not in self.kept:
            self.more()
        taken, self.kept = self.kept.split(mark, 1)
        return taken


def upgrade(connection, extra="", key=b"0123456789abcdef"):
    """Asks for a websocket. Returns the stream behind the answer."""
    text = base64.b64encode(key).decode()
    connection.sendall(
        f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {text}\r\n{extra}\r\n".encode()
    )
    stream = Stream(connection)
    head = stream.until(b"\r\n\r\n").decode()
    digest = hashlib.sha1(f"{text}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    assert head.startswith("HTTP/1.1 101 "), head
    assert f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}" in head, head
    return stream


class FramingNode(Node):
    """A node that sends every frame back."""

    def __init__(self, framing, options="", **settings):
        self.framing = framing
        self.port = free_port()
        super().__init__(
            start="gate_user",
            gate_style=framing.name,
            gate_framing=f"{framing.options} {options}",
            gate_port=f"127.0.0.1:{self.port}",
            **settings,
        )
        self.wait_log(r"\] ready$")

    def open(self):
        """A connection that frames can be sent on, and the stream that comes back."""
        connection = connect(self.port)
        if self.framing.name == "websocket":
            return connection, upgrade(connection)
        return connection, Stream(connection)

    def check_alive(self):
        connection, stream = self.open()
        connection.sendall(self.framing.encode(b"still there?"))
        assert self.framing.read(stream) == b"still there?"
        connection.close()


# --- every framing ----------------------------------------------------------------------------


@case
def what_goes_in_comes_back_however_it_is_cut():
    for framing in FRAMINGS:
        with FramingNode(framing) as node:
            connection, stream = node.open()
            chance = random.Random(7)
            sizes = [0, 1, 2, 125, 126, 127, 255, 5000, 65535, 65536, framing.longest]
            bodies = [chance.randbytes(size) for size in sizes if size <= framing.longest]
            chance.shuffle(bodies)
            if framing in MARKS:
                bodies = [body.replace(framing.mark[-1:], b"_") for body in bodies]
                bodies = [body.replace(b"\r", b"_") for body in bodies]
            data = b"".join(framing.encode(body) for body in bodies)

            def send(data=data, connection=connection, chance=chance):
                at = 0
                while at < len(data):
                    size = chance.choice((1, 2, 3, 500, 70000))
                    connection.sendall(data[at : at + size])
                    at += size

            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            for number, body in enumerate(bodies):
                got = framing.read(stream)
                assert got == body, (framing.name, number, len(body), len(got))
            sender.join()
            connection.close()


@case
def raw_bytes_come_back():
    with FramingNode(Lengths("raw", ">H")) as node:
        connection = connect(node.port)
        data = random.Random(1).randbytes(500000)
        sender = threading.Thread(target=connection.sendall, args=(data,), daemon=True)
        sender.start()
        assert recv_exactly(connection, len(data)) == data
        sender.join()
        connection.close()


@case
def a_frame_over_the_limit_closes_only_its_connection():
    for framing in FRAMINGS:
        if framing.name == "u8":
            continue
        with FramingNode(framing, "max_frame=1000") as node:
            other, other_stream = node.open()
            connection, stream = node.open()
            connection.sendall(framing.encode(b"x" * 1000))
            assert framing.read(stream) == b"x" * 1000, framing.name
            connection.sendall(framing.encode(b"x" * 1001))
            node.wait_log("a frame is too long")
            rest = wait_closed(connection)
            if framing.name == "websocket":
                assert rest in (b"\x88\x02" + struct.pack(">H", 1009), b""), rest
            other.sendall(framing.encode(b"hello"))
            assert framing.read(other_stream) == b"hello"
            other.close()


@case
def a_half_closed_client_gets_its_answers():
    for framing in FRAMINGS:
        with FramingNode(framing) as node:
            node.check_alive()
            wait_until(lambda node=node: node.text().count("closed") == 1, "the first is closed")
            fds = node.fd_count()
            connection, stream = node.open()
            bodies = [f"question {number}".encode() for number in range(300)]
            connection.sendall(b"".join(framing.encode(body) for body in bodies))
            connection.shutdown(socket.SHUT_WR)
            for body in bodies:
                assert framing.read(stream) == body, framing.name
            if framing.name == "websocket":  # without a close frame, but with ours
                assert framing.read_frame(stream) == (0x88, struct.pack(">H", 1000))
            assert stream.kept + wait_closed(connection) == b""
            connection.close()
            node.wait_fds(fds)


@case
def a_half_frame_at_the_end_is_dropped():
    for framing in FRAMINGS:
        with FramingNode(framing) as node:
            whole = framing.encode(b"whole")
            for cut in (1, len(whole) - 1):
                connection, stream = node.open()
                connection.sendall(framing.encode(b"first") + whole[:cut])
                connection.shutdown(socket.SHUT_WR)
                assert framing.read(stream) == b"first"
                rest = stream.kept + wait_closed(connection)
                assert rest in (b"", b"\x88\x02\x03\xe8"), (framing.name, rest)
                connection.close()
            node.check_alive()


@case
def slow_frames_cost_nobody_else_anything():
    for framing in FRAMINGS:
        with FramingNode(framing) as node:
            before = node.rss_kb()
            slow = []
            for _ in range(100):
                connection, _stream = node.open()
                connection.sendall(framing.encode(b"z" * 200)[:-1])
                slow.append(connection)
            for _ in range(20):
                node.check_alive()
            grown = node.rss_kb() - before
            assert grown < (400 if SANITIZERS else 32) * 1024, (framing.name, grown)
            for connection in slow:
                connection.close()


@case
def garbage_does_no_harm():
    for framing in FRAMINGS:
        with FramingNode(framing, "max_frame=5000") as node:
            node.check_alive()
            wait_until(lambda node=node: node.text().count("closed") == 1, "the first is closed")
            fds = node.fd_count()
            chance = random.Random(99)
            for number in range(60):
                connection = connect(node.port)
                try:
                    if framing.name == "websocket" and number % 2:
                        upgrade(connection)
                    connection.sendall(chance.randbytes(chance.choice((1, 10, 500, 20000))))
                    connection.shutdown(socket.SHUT_WR)
                    wait_closed(connection)
                except (ConnectionError, AssertionError):
                    pass  # closed by the gate
                connection.close()
            node.check_alive()
            node.wait_fds(fds)


# --- websockets -------------------------------------------------------------------------------


@case
def a_websocket_pings_and_says_good_bye():
    framing = WebSocket()
    with FramingNode(framing) as node:
        connection, stream = node.open()
        connection.sendall(framing.frame(0x89, b"are you there?"))
        assert framing.read_frame(stream) == (0x8A, b"are you there?")
        connection.sendall(framing.encode(b"last words"))
        connection.sendall(framing.frame(0x88, struct.pack(">H", 4000) + b"bye"))
        assert framing.read(stream) == b"last words"
        assert framing.read_frame(stream) == (0x88, struct.pack(">H", 4000))
        assert stream.kept + wait_closed(connection) == b""
        node.check_alive()


@case
def a_websocket_gets_text_if_that_is_said():
    framing = WebSocket()
    framing.options = "text=1"
    with FramingNode(framing) as node:
        connection, stream = node.open()
        connection.sendall(framing.frame(0x81, "grüße".encode()))
        assert framing.read_frame(stream) == (0x81, "grüße".encode())


@case
def others_than_websockets_are_refused():
    with FramingNode(WebSocket()) as node:
        fds = node.fd_count()
        heads = {
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n": b"426",
            b"POST / HTTP/1.1\r\nHost: x\r\n\r\n": b"400",
            b"GET / HTTP/1.0\r\n\r\n": b"505",
            b"GET /" + b"x" * 9000: b"413",
            b"\x16\x03\x01\r\n\r\n": b"400",  # TLS
        }
        for head, status in heads.items():
            connection = connect(node.port)
            connection.sendall(head)
            answer = wait_closed(connection)
            assert answer.startswith(b"HTTP/1.1 " + status) or not answer, answer
            connection.close()
        node.check_alive()
        node.wait_fds(fds)


@case
def unmasked_frames_end_with_a_protocol_error():
    framing = WebSocket()
    with FramingNode(framing) as node:
        connection, stream = node.open()
        connection.sendall(b"\x82\x02hi")
        assert framing.read_frame(stream) == (0x88, struct.pack(">H", 1002))
        assert wait_closed(connection) == b""
        node.wait_log("a frame is not masked")
        node.check_alive()


BROWSER_PAGE = b"""<script>
const socket = new WebSocket("ws://127.0.0.1:PORT/");
socket.binaryType = "arraybuffer";
const got = [];
socket.onopen = () => { socket.send("hello"); socket.send(new Uint8Array(70000)); };
socket.onmessage = event => {
	got.push(event.data.byteLength);
	if (got.length === 2) socket.close(4001, "done");
};
socket.onclose = event => fetch("/got=" + got + "&code=" + event.code + "&clean=" + event.wasClean);
</script>"""
BROWSER_WORDS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()


class PageServer(http.server.HTTPServer):
    """Serves the page, and keeps the path of what the page asks for in the end."""

    def __init__(self, gate_port):
        super().__init__(("127.0.0.1", 0), PageHandler)
        self.page = BROWSER_PAGE.replace(b"PORT", b"%d" % gate_port)
        self.results = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class PageHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/got="):
            self.server.results.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page if self.path == "/" else b"")

    def log_message(self, *_arguments):
        pass


def is_running(word):
    """Whether there is a process with such a word in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                return True
        except OSError:
            pass  # it has just ended
    return False


@case
def a_browser_speaks_with_it():
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        raise Skip("there is no chromium here")
    folder = tempfile.mkdtemp(prefix="skynet-test-")
    try:
        with FramingNode(WebSocket()) as node, PageServer(node.port) as server:
            words = [browser, *BROWSER_WORDS, f"--user-data-dir={folder}/profile"]
            words.append(f"http://127.0.0.1:{server.server_port}/")
            with Process(*words, env=dict(os.environ, HOME=folder)) as running:
                wait_until(lambda: server.results, "the browser to be done", BROWSER_DEADLINE_S)
                running.expect_status(0, -signal.SIGTERM)
                running.stop()
            wait_until(lambda: not is_running(folder), "the browser's helpers to end")
            server.shutdown()
            assert server.results == ["/got=5,70000&code=4001&clean=true"], server.results
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- TLS --------------------------------------------------------------------------------------


def make_certificate(folder):
    """A file with a certificate of 127.0.0.1 that it has signed itself, and its key."""
    files = [os.path.join(folder, name) for name in ("certificate.pem", "key.pem")]
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words += ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    return files


@case
def tls_is_an_option_of_every_framing():
    folder = tempfile.mkdtemp(prefix="skynet-test-")
    try:
        certificate, key = make_certificate(folder)
        context = ssl.create_default_context(cafile=certificate)
        options = f"tls.certificate={certificate} tls.key={key}"
        for framing in (LENGTHS[1], MARKS[0], WebSocket()):
            with FramingNode(framing, gate_options=options) as node:
                fds = node.fd_count()
                for _ in range(20):  # plain bytes: refused, and nobody is told
                    plain = connect(node.port)
                    plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    wait_closed(plain)
                    plain.close()
                node.wait_log("No handshake")
                assert "LAUNCH client" not in node.text()
                connection = context.wrap_socket(connect(node.port), server_hostname="127.0.0.1")
                is_websocket = framing.name == "websocket"
                stream = upgrade(connection) if is_websocket else Stream(connection)
                for size in (1, 1000, 60000):
                    connection.sendall(framing.encode(b"x" * size))
                    assert framing.read(stream) == b"x" * size
                if not is_websocket:  # else a close frame comes behind the end, which Python minds
                    connection.unwrap()
                connection.close()
                node.wait_fds(fds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- ports ------------------------------------------------------------------------------------


@case
def several_gates_share_a_port():
    framing = Lengths("u16be", ">H")
    with FramingNode(framing, gate_options="shares_port=1") as first:
        settings = {
            "start": "gate_user",
            "gate_style": "u16be",
            "gate_port": f"127.0.0.1:{first.port}",
        }
        with Node(gate_options="shares_port=1", **settings) as second:
            second.wait_log(r"\] ready$")
            # The system spreads the clients: in so many tries both have some.
            for _ in range(200):
                first.check_alive()
            wait_until(lambda: "closed" in first.text(), "the first one has had clients")
            wait_until(lambda: "closed" in second.text(), "the second one has had clients")
        first.check_alive()
        with Node(**settings) as third:
            third.wait_log("cannot listen on")
            third.wait_log("no gate")


main()
