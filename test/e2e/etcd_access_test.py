"""The registry in etcd: where it is, who may use it, and TLS; what is wrong is told in words."""

from etcd_cluster import Cluster, make_certificate
from etcd_user import User
from evaluator import failure
from harness import case, free_port, main
from nodes import LocalNetwork


@case
def a_place_where_nobody_listens_is_named():
    with User() as user:
        url = f"etcd://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/test"
        text = user.refusal("a", url, 1, join_timeout_cs=150)
        assert text.startswith(f"config key master: {url}: ") and "refused" in text, text
        text = user.refusal("b", "etcd://no.such.host.invalid/x", 1, join_timeout_cs=150)
        assert text.startswith("config key master: etcd://no.such.host.invalid/x: "), text


@case
def a_url_that_is_none_is_refused_without_telling_the_password():
    with User() as user:
        for url, problem in (
            ("etcd://", "'' is no host:port"),
            ("etcd://host:0", "'host:0' has no port in 1..65535"),
            ("etcd://me:secret@host:x/", "'host:x' has no port in 1..65535"),
            ("etcd://secret@host", "what stands before '@' must be user:password"),
            ("etcd://a,,b/", "'' is no host:port"),
            ("etcd://host/a b", "'/a b' is no prefix of keys"),
            ("etcd://host/a//b", "'/a//b' is no prefix of keys"),
        ):
            text = failure(user.open, "a", url, 1)
            assert text.startswith("config key master: ") and problem in text, text
            assert "secret" not in text, text


@case
def users_and_passwords_are_checked():
    with Cluster() as cluster, User() as user:
        cluster.enable_users("game", "pass:word@1", "/test/")
        login = "game:pass%3Aword%401@"
        text = user.refusal("a", cluster.url(), 1)
        assert "it wants a user: etcd://user:password@host" in text, text
        text = user.refusal("b", cluster.url(login="game:x@"), 1)
        assert "the user and the password in the URL are not right" in text, text
        assert "game@127.0.0.1" in text and "game:x" not in text, text
        text = user.refusal("c", cluster.url("/other", login), 1)
        assert "the user needs readwrite permission for the prefix" in text, text
        user.join("d", cluster.url(login=login), 1)
        user.join("w", cluster.url(login=login), 2)
        assert user.register("d", "x", 0x1000001) == 0x1000001
        cluster.members[0].kill()  # forgets who has shown a password
        cluster.restart(0)
        assert user.register("d", "y", 0x1000002) == 0x1000002
        user.wait_change("w", "name y")
        assert "evicted" not in user.events("d")


@case
def an_etcd_may_begin_to_want_users():
    with Cluster() as cluster, User() as user:
        login = "game:word@"
        user.join("d", cluster.url(login=login), 1)
        user.join("w", cluster.url(login=login), 2)
        cluster.enable_users("game", "word", "/test/")
        assert user.register("d", "x", 0x1000001) == 0x1000001
        user.wait_change("w", "name x")


@case
def a_password_is_in_no_log():
    with Cluster() as cluster:
        cluster.enable_users("game", "secret", "/test/")
        network = LocalNetwork(master=cluster.url(login="game:secret@"), standalone=None)
        first, second = network.start("auto"), network.start(2)
        first.wait_run("return harbor.members()[2].up", "true")
        first.run('harbor.globalname("NAME")')
        assert second.run('return harbor.queryname("NAME") >> 24') == "1"
        for node in (first, second):
            assert "secret" not in node.text(), node.text()
        status = first.run('return skynet.call(".cslave", "lua", "STAT").registry.url')
        assert "secret" not in status, status


@case
def an_etcd_without_users_takes_anybody():
    with Cluster() as cluster, User() as user:
        user.join("a", cluster.url(login="game:word@"), 1)
        assert user.register("a", "x", 0x1000001) == 0x1000001


@case
def tls_is_spoken_by_both_ends():
    with User(thread=2) as plain:
        path = make_certificate(plain.folder)
        settings = {"etcd_authorities": path, "etcd_certificate": path, "etcd_key": path}
        with Cluster(certificate=path) as cluster, User(**settings) as user:
            user.join("a", cluster.url(), 1)
            user.join("w", cluster.url(), 2)
            assert user.register("a", "x", 0x1000001) == 0x1000001
            user.wait_change("w", "name x")
            text = plain.refusal("a", cluster.url(), 3, join_timeout_cs=100)
            assert "TLS: the peer's certificate is refused: self-signed" in text, text
            url = cluster.url().replace("etcds:", "etcd:")
            text = plain.refusal("b", url, 3, join_timeout_cs=100)
            assert "the stream has ended before an answer" in text, text


main()
