"""A network for the nodes of a case: hosts with a network namespace and an address each, on one
switch, whose cables and packets the case has in its hands. Linux and root only, else Skip.

    network = Network()
    one, two = network.host(), network.host()
    node = HostNode(one, config)       # a node that lives there
    network.cut(one)                   # pulls the cable; network.mend(one) puts it back
    network.lose(one, two)             # what one sends to two is lost; share=0.3: three of ten
    Wire(network, one, two, port)      # connections of one to two pass a proxy: see there

The test itself sits at the switch, with an address of its own. Namespaces have no names: they live
as long as a descriptor or process holds them, so the system removes them however the test ends.
"""

import collections
import ctypes
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
import time

from harness import DEADLINE_S, Node, Skip, connect, keep

_CLONE_NEWNET = 0x40000000
_SWITCH_NUMBER = 254
_PIECE_BYTES = 65536
# As many bytes as a delayed connection may have on its way; a real link has such a bound too.
_ON_THE_WAY_BYTES = 16 << 20


def _address(number):
    return f"10.77.0.{number}"


class Host:
    """A namespace with one interface. number: the last byte of its address."""

    def __init__(self, number):
        self.number = number
        self.address = _address(number)
        self._descriptor = _in_thread(_new_namespace)
        # Seen from other processes too, as long as this one lives.
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def run(self, *command, stdin=None):
        """Runs a program in here; its failure is one of the case."""
        words = ("nsenter", f"--net={self.path}", *command)
        done = subprocess.run(words, input=stdin, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def call(self, function, *arguments):
        """Calls a function in a thread of this host: its sockets are sockets in here."""
        return _in_thread(lambda: (_enter(self._descriptor), function(*arguments))[1])

    def connect(self, port, address="127.0.0.1", deadline_s=DEADLINE_S):
        """A connection that begins in here, as harness.connect makes one."""
        connection = self.call(_connect, address, port, deadline_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return keep(connection)

    def listen(self, port=0):
        return keep(self.call(_listen, port))

    def close(self):
        os.close(self._descriptor)


class Here:
    """The network of the test itself, as a host."""

    address = "127.0.0.1"
    path = "/proc/self/ns/net"

    def connect(self, port):
        return connect(port)


class Network:
    """A switch, and the hosts at it."""

    def __init__(self):
        _check_abilities()
        keep(self)
        self._hosts = []
        self.switch = self._new_host(_SWITCH_NUMBER)
        self.switch.run("ip", "link", "add", "switch", "type", "bridge", "forward_delay", "0")
        self.switch.run("ip", "link", "set", "switch", "up")
        self.switch.run("ip", "address", "add", f"{self.switch.address}/24", "dev", "switch")

    def host(self):
        """One more host, its cable plugged in."""
        host = self._new_host(len(self._hosts))
        cable = f"cable{host.number}"
        self.switch.run("ip", "link", "add", cable, "type", "veth",
                        "peer", "name", "eth0", "netns", host.path)
        self.switch.run("ip", "link", "set", cable, "master", "switch", "up")
        host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        host.run("nft", "-f", "-", stdin=(
            "table ip test {\n"
            "  chain arriving { type filter hook input priority 0; }\n"
            "  chain wires { type nat hook output priority -100; }\n"
            # Connections are known from the first on, so that a wire takes none that is there.
            "  chain tracking { type filter hook output priority 0; ct state new accept; }\n"
            "}\n"))
        return host

    def hosts(self, count):
        return [self.host() for _ in range(count)]

    def _new_host(self, number):
        host = Host(number)
        self._hosts.append(host)
        host.run("ip", "link", "set", "lo", "up")
        return host

    def cut(self, host):
        """Pulls the cable of a host: nothing arrives, and nobody is told."""
        self.switch.run("ip", "link", "set", f"cable{host.number}", "down")

    def mend(self, host):
        self.switch.run("ip", "link", "set", f"cable{host.number}", "up")

    def lose(self, sender, receiver, share=1):
        """From now on so much of what one host sends to the other is lost, and only that way."""
        chance = f"numgen random mod 1000 < {round(share * 1000)}" if share < 1 else ""
        receiver.run("nft", "add", "rule", "ip", "test", "arriving",
                     f"ip saddr {sender.address} {chance} drop")

    def heal(self, receiver):
        """What is sent to this host arrives again."""
        receiver.run("nft", "flush", "chain", "ip", "test", "arriving")

    def close(self):
        while self._hosts:
            self._hosts.pop().close()


class HostNode(Node):
    """A node that lives on a host. It may be halted (SIGSTOP) when the case ends."""

    def __init__(self, host, config="", **settings):
        self.host = host
        super().__init__(config, **settings)

    def command(self, words):
        return ("nsenter", f"--net={self.host.path}", *words)

    def close(self):
        if self.is_running():
            self.go_on()
        super().close()


class Wire:
    """What one host sends to a port of another passes through here, byte by byte: connections that
    begin on `sender` and go to `receiver`:port end here, and each goes on as one of our own.

    delay_s     everything takes so much longer, each way
    cuts        after how many bytes of the sender's a connection is reset, for the first, second,
                ... connection; those behind the last are left alone
    """

    def __init__(self, network, sender, receiver, port, delay_s=0, cuts=()):
        self.delay_s = delay_s
        self._sender = sender
        self._switch = network.switch
        self._target = (receiver.address, port)
        self._cuts = collections.deque(cuts)
        self._open = set()
        self._lock = threading.Lock()
        self.connections = 0  # how many there were
        self.resets = 0  # how many were cut
        self._listener = self._switch.listen()
        here = f"{self._switch.address}:{self._listener.getsockname()[1]}"
        sender.run("nft", "add", "rule", "ip", "test", "wires",
                   f"ip daddr {receiver.address} tcp dport {port} dnat to {here}")
        keep(self)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()
        except OSError:
            pass  # closed: the case is over

    def _join(self, near):
        try:
            far = self._switch.call(socket.create_connection, self._target, DEADLINE_S)
        except OSError:
            near.close()  # there is nobody; the sender sees a connection that ends at once
            return
        far.settimeout(None)
        for connection in (near, far):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.update((near, far))
            self.connections += 1
            cut = self._cuts.popleft() if self._cuts else None
        back = threading.Thread(target=self._carry, args=(far, near, None), daemon=True)
        back.start()
        was_cut = self._carry(near, far, cut)
        if not was_cut:
            back.join()
        with self._lock:
            self._open.difference_update((near, far))
            self.resets += was_cut
        for connection in (near, far):
            if was_cut:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
                _shut(connection, socket.SHUT_RD)  # wakes who reads it
            connection.close()

    def _carry(self, source, sink, cut):
        """Until the end of the stream, or for `cut` bytes: then it returns True."""
        line = _Delay(sink, lambda: self.delay_s)
        left = cut
        try:
            while left is None or left > 0:
                piece = source.recv(_PIECE_BYTES if left is None else min(left, _PIECE_BYTES))
                if not piece:
                    break
                line.put(piece)
                if left is not None:
                    left -= len(piece)
        except OSError:
            pass
        line.end(is_cut=left == 0)
        return left == 0

    def reset(self):
        """Resets all connections that are open now."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _shut(connection, socket.SHUT_RDWR)

    def remove(self):
        """New connections go straight from now on."""
        self._sender.run("nft", "flush", "chain", "ip", "test", "wires")

    def close(self):
        _shut(self._listener, socket.SHUT_RDWR)
        self._listener.close()
        self.reset()


class _Delay:
    """Sends pieces after a while, in a thread of its own; without delay, at once."""

    def __init__(self, sink, delay_of):
        self._sink = sink
        self._delay_of = delay_of
        self._changed = threading.Condition()
        self._pieces = collections.deque()
        self._bytes = 0
        self._thread = None

    def put(self, piece):
        delay_s = self._delay_of()
        if delay_s == 0 and not self._thread:
            self._sink.sendall(piece)
            return
        with self._changed:
            if not self._thread:
                self._thread = threading.Thread(target=self._send, daemon=True)
                self._thread.start()
            self._changed.wait_for(lambda: self._bytes < _ON_THE_WAY_BYTES)
            self._pieces.append((time.monotonic() + delay_s, piece))
            self._bytes += len(piece)
            self._changed.notify_all()

    def _send(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces)
                due, piece = self._pieces.popleft()
            if piece is None:
                return
            time.sleep(max(0, due - time.monotonic()))
            try:
                self._sink.sendall(piece)
            except OSError:
                pass  # the other side is gone; the reader of it says so
            with self._changed:
                self._bytes -= len(piece)
                self._changed.notify_all()

    def end(self, is_cut):
        """Waits until all is sent; then the other side sees the end of the stream, unless the
        connection is to be reset."""
        if self._thread:
            with self._changed:
                self._pieces.append((0, None))
                self._changed.notify_all()
            self._thread.join()
        if not is_cut:
            _shut(self._sink, socket.SHUT_WR)


def random_cuts(seed, count, least, most):
    """So many numbers of bytes, the same for the same seed."""
    chance = random.Random(seed)
    return [chance.randint(least, most) for _ in range(count)]


# --- namespaces ------------------------------------------------------------------------------


def _check_abilities():
    for program in ("ip", "nft", "nsenter"):
        if not shutil.which(program):
            raise Skip(f"no program {program} here")
    try:
        os.close(_in_thread(_new_namespace))
    except (OSError, AttributeError) as error:
        raise Skip(f"no network namespaces here: {error}") from None


def _in_thread(function):
    """What the function returns, or raises, when a fresh thread calls it."""
    result = {}

    def call():
        try:
            result["value"] = function()
        except BaseException as error:  # pylint: disable=broad-except
            result["error"] = error

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result["value"]


def _libc(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _new_namespace():
    """Gives the calling thread a network of its own, and returns a descriptor of that."""
    _libc("unshare", _CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor):
    _libc("setns", descriptor, _CLONE_NEWNET)


def _connect(address, port, deadline_s):
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            return socket.create_connection((address, port), deadline_s)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise AssertionError(f"nobody listens on {address}:{port}") from None
            time.sleep(0.01)


def _listen(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(1024)
    return listener


def _shut(connection, how):
    try:
        connection.shutdown(how)
    except OSError:
        pass  # it is closed already
