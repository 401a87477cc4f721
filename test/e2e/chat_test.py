"""The chat example, as its guests use it: through lines, TLS and websockets."""

import base64
import ssl
import subprocess
import tempfile

from harness import (
    BUILD,
    SKYNET,
    Process,
    case,
    connect,
    free_port,
    main,
    recv_exactly,
    run,
    wait_closed,
)


class Guest:
    """Somebody who sends lines, and gets lines."""

    def __init__(self, connection):
        self.connection = connection
        self.expect("Welcome. Your name?")

    def send(self, text):
        self.connection.sendall(text.encode() + b"\n")

    def read(self):
        line = b""
        while not line.endswith(b"\n"):
            line += recv_exactly(self.connection, 1)
        return line[:-1]

    def expect(self, *texts):
        for text in texts:
            line = self.read()
            assert line == text.encode(), f"{line!r} is not {text!r}"

    def enter(self, name):
        self.send(name)
        self.expect(f"{name} has come")
        return self


class Browser(Guest):
    """The same with a websocket."""

    def __init__(self, connection):
        key = base64.b64encode(b"0123456789abcdef").decode()
        connection.sendall(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += recv_exactly(connection, 1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        super().__init__(connection)

    def send(self, text):
        body = text.encode()
        assert len(body) < 126
        mask = b"\0\0\0\0"  # which leaves the bytes as they are
        self.connection.sendall(bytes((0x81, 0x80 | len(body))) + mask + body)

    def read(self):
        first, size = recv_exactly(self.connection, 2)
        assert first == 0x81, hex(first)
        if size == 126:
            size = int.from_bytes(recv_exactly(self.connection, 2), "big")
        return recv_exactly(self.connection, size)


class Room(Process):
    """The example, on ports of its own."""

    def __init__(self, **settings):
        self.ports = {door: free_port() for door in ("line", "websocket", "tls")}
        for door, port in self.ports.items():
            settings[f"chat_{door}_port"] = port
        settings["cpath"] = f"{BUILD}/cservice/?.so"
        settings["lua_cpath"] = f"{BUILD}/luaclib/?.so"
        words = [f"--set={key}={value}" for key, value in settings.items()]
        super().__init__(SKYNET, "examples/chat/config.lua", *words, stdin=subprocess.DEVNULL)
        self.wait_log("Guests are welcome at .*: websocket")

    def guest(self):
        return Guest(connect(self.ports["line"]))

    def guest_in_tls(self, authorities):
        context = ssl.create_default_context(cafile=authorities)
        connection = connect(self.ports["tls"])
        return Guest(context.wrap_socket(connection, server_hostname="127.0.0.1"))

    def browser(self):
        return Browser(connect(self.ports["websocket"]))


@case
def all_guests_hear_each_other_through_all_doors():
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = f"{folder}/room.pem", f"{folder}/room.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", "/CN=room", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", key, "-out", certificate)
        with Room(chat_certificate=certificate, chat_key=key) as room:
            room.wait_log("Guests are welcome at .*: line in TLS")
            ann = room.guest().enter("ann")
            bob = room.browser().enter("bob")
            ann.expect("bob has come")
            eve = room.guest_in_tls(certificate).enter("eve")
            ann.expect("eve has come")
            bob.expect("eve has come")
            everybody = {"ann": ann, "bob": bob, "eve": eve}
            for text in ("grüß Gott", "x" * 100):
                for name, guest in everybody.items():
                    guest.send(text)
                    for other in everybody.values():
                        other.expect(f"{name}: {text}")
            ann.send("x" * 900)
            for other in everybody.values():
                other.expect("ann: " + "x" * 900)
            bob.connection.close()
            ann.expect("bob has left")
            eve.expect("bob has left")


@case
def what_is_no_text_and_no_name_is_refused():
    with Room() as room:
        ann = room.guest().enter("ann")
        other = room.guest()
        for name in ("ann", "", "n" * 33):
            other.send(name)
            other.expect("Another name, please.")
        other.connection.sendall(b"\xff\n\x1b[2J\n")
        other.expect("This is no text.", "This is no text.")
        other.enter("bob")
        ann.expect("bob has come")
        other.send("x" * 1001)
        wait_closed(other.connection)
        ann.expect("bob has left")
        room.guest().enter("bob")
        ann.expect("bob has come")


@case
def who_has_no_name_hears_nothing_and_is_not_heard():
    with Room() as room:
        ann = room.guest().enter("ann")
        stranger = room.browser()
        ann.send("secret")
        ann.expect("ann: secret")
        stranger.enter("bob")
        ann.expect("bob has come")
        room.guest().connection.close()
        stranger.send("here")
        ann.expect("bob: here")


main()
