"""The registry in etcd: servers that are no etcd, or a bad one, and connections that are cut."""

import json

from etcd_cluster import Cluster
from etcd_fake import Fake, Proxy, flood, keep, wait
from etcd_user import User
from evaluator import failure
from harness import SANITIZERS, case, main, wait_until


def answer(body, status="200 OK"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(data), data)


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

HEADER = {"cluster_id": "1", "member_id": "2", "revision": "7", "raft_term": "1"}

NONSENSE = {
    "garbage": [bytes(range(256)) * 10],
    "another protocol": [b"SSH-2.0-OpenSSH_9.2\r\n", wait],
    "nothing, and the end": [],
    "nothing at all": [wait],
    "half a head": [HEAD + b"Content-Le"],
    "half a body": [HEAD + b'Content-Length: 100\r\n\r\n{"ID":'],
    "half a chunk": [CHUNKED + b'1000\r\n{"ID":'],
    "a chunk without an end": [CHUNKED + b'6\r\n{"ID":', wait],
    "a chunk with a bad size": [CHUNKED + b"zz\r\n", wait],
    "an endless head": [HEAD, flood(b"A: b\r\n" * 1000)],
    "an endless line": [HEAD + b"A: ", flood(b"x" * 65536)],
    "endless patience": [flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)],
    "a huge body": [HEAD + b"Content-Length: 99999999999\r\n\r\n", flood(b"x" * 1000000)],
    "an endless body": [HEAD + b"\r\n", flood(b" " * 1000000)],
    "a redirect": [answer(b"", "302 Found\r\nLocation: http://127.0.0.1:1/"), keep],
    "another service": [answer(b"<html>", "404 Not Found"), keep],
    "an error": [answer(b"<html>", "500 Internal Server Error"), keep],
    "an error without sense": [answer({"error": 5, "code": "x"}, "503 Busy"), keep],
    "no JSON": [answer(b"hello"), keep],
    "a number": [answer(5), keep],
    "a list": [answer([1, 2]), keep],
    "an empty object": [answer({}), keep],
    "wrong types": [answer({"header": 1, "ID": [], "TTL": {}, "responses": "x", "kvs": 7}), keep],
    "no lease": [answer({"header": HEADER, "ID": "x", "TTL": "-3"}), keep],
    "a lease and nothing else": [answer({"header": HEADER, "ID": "1", "TTL": "5"}), keep],
    "a deep tree": [answer(b"[" * 100000), keep],
    "two answers at once": [answer({"ID": "1", "TTL": "5"}) * 2, keep],
}


@case
def a_server_that_is_no_etcd_is_passed_over():
    with Cluster() as cluster, User() as user:
        for number, (kind, pieces) in enumerate(NONSENSE.items()):
            with Fake(*pieces) as fake:
                url = f"etcd://127.0.0.1:{fake.port},127.0.0.1:{cluster.ports[0]}/test"
                node = 2 * number + 2  # even ones begin with the first host
                name = f"b{number}"
                assert user.join(name, url, node, join_timeout_cs=6000), kind
                assert user.register(name, kind[:16], (node << 24) + 1), kind
                assert fake.connections > 0, kind
                user.run(f"backends.{name}:close()")
        assert SANITIZERS or user.rss_kb() < 400000, user.rss_kb()


@case
def without_an_etcd_a_node_does_not_join():
    with User() as user:
        tries = []
        for number, (kind, pieces) in enumerate(NONSENSE.items()):
            fake = Fake(*pieces)
            url = f"etcd://127.0.0.1:{fake.port}/test"
            user.open(f"b{number}", url, 1, join_timeout_cs=50)
            client = user.client()
            client.send(f'return join("b{number}")')
            tries.append((kind, fake, url, client))
        for kind, fake, url, client in tries:
            text = failure(client.receive)
            assert text.startswith(f"config key master: {url}: "), (kind, text)
            # However hard it tries, it makes pauses.
            assert fake.connections < 40, (kind, fake.connections)


@case
def a_connection_that_is_cut_anywhere_loses_nothing():
    with Cluster() as cluster, User() as user:
        # Each connection is cut somewhere else: in heads, in bodies, in messages of the watch.
        def limit(number):
            return 40 + 61 * number % 1500 if number < 60 else None

        with Proxy(cluster.ports[0], limit) as proxy:
            url = f"etcd://127.0.0.1:{proxy.port}/test"
            user.join("a", url, 1, join_timeout_cs=6000)
            user.join("w", cluster.url(), 2)
            for number in range(40):
                handle = 0x1000001 + number
                assert user.register("a", f"n{number}", handle) == handle
                if number % 2:
                    user.unregister("a", f"n{number}", handle)
            user.wait_change("w", "name n39")
            user.wait_change("w", "unname n39")
            user.wait_change("a", "unname n39")
            told = [line for line in user.changes("a") if "name" in line]
            assert told == [line for line in user.changes("w") if "name" in line]
            assert proxy.connections > 10


@case
def a_member_that_falls_silent_is_left():
    with Cluster() as cluster, User() as user:
        with Proxy(cluster.ports[0]) as proxy:
            url = f"etcd://127.0.0.1:{proxy.port},127.0.0.1:{cluster.ports[0]}/test"
            user.join("a", url, 2)
            proxy.mute.set()  # no end, no reset: as if its cable was cut
            user.join("w", cluster.url(), 3)
            user.wait_change("a", "join 3")
            assert user.register("a", "x", 0x2000001) == 0x2000001
            assert "evicted" not in user.events("a")
            assert not any("leave" in line for line in user.changes("w"))


@case
def a_watch_that_talks_nonsense_is_begun_anew():
    nonsense = (
        b"not json\n", b"5\n", b"{}\n", b'{"result":5}\n', b'{"result":{}}\n',
        b'{"error":{"grpc_code":14,"message":"no leader"}}\n', b'{"error":"x"}\n',
        b'{"result":{"created":true}}\n',
        b'{"result":{"header":{"revision":"0"},"created":true}}\n',
        b'{"result":{"header":{"revision":"99"},"created":true}}\n{"result":{"canceled":true}}\n',
        b'{"result":{"header":{"revision":"99"},"created":true,"canceled":true,'
        b'"cancel_reason":"refused"}}\n',
        b'{"result":{"header":{"revision":"99"},"created":true}}\n'
        b'{"result":{"events":[1,{},{"kv":3},{"kv":{"key":7}},{"kv":{"mod_revision":"x"}}]}}\nx\n',
    )  # fmt: skip
    with Cluster() as cluster, User() as user:
        for number, line in enumerate(nonsense):
            end = wait if b"refused" in line else b"0\r\n\r\n"
            fake = Fake(CHUNKED + b"%x\r\n%s\r\n" % (len(line), line), end)
            with Proxy(cluster.ports[0]) as proxy:
                name, node = f"b{number}", 100 + number
                url = f"etcd://127.0.0.1:{proxy.port}/test"
                user.join(name, url, node)
                proxy.turn(fake.port)
                wait_until(lambda f=fake: f.connections > 2, "it speaks with the fake")
                proxy.turn(cluster.ports[0])
                handle = (node << 24) + 1
                assert user.register(name, f"n{number}", handle) == handle
                assert f"name n{number} {handle}" in user.changes(name)
                user.run(f"backends.{name}:close()")


main()
