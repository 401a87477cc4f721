"""etcd as tests need it: clusters of real members, and a few calls to look into them."""

import base64
import json
import platform
import shutil
import ssl
import tempfile
import urllib.error
import urllib.request

from harness import BUILD, DEADLINE_S, Process, Skip, free_port, run, wait_until

_ETCD = shutil.which("etcd")
# etcd 3.4 wants to be asked twice on these; it has names of its own for them.
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "armv7l": "arm", "i686": "386"}


class Member(Process):
    """One etcd. Its data stays while the cluster lives, so it can be started again."""

    def __init__(self, cluster, number):
        self.port = cluster.ports[number]
        scheme = "https" if cluster.certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        peers = [f"http://127.0.0.1:{port}" for port in cluster.peer_ports]
        super().__init__(
            _ETCD,
            f"--name=m{number}",
            f"--data-dir={cluster.folder}/m{number}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peers[number]}",
            f"--initial-advertise-peer-urls={peers[number]}",
            "--initial-cluster=" + ",".join(f"m{i}={peer}" for i, peer in enumerate(peers)),
            f"--initial-cluster-token={cluster.folder}",
            *cluster.options,
            env={"ETCD_UNSUPPORTED_ARCH": _ARCHITECTURES.get(platform.machine(), "")},
        )
        # It ends by the signal itself, after it has put its things in order.
        self.expect_status(0, -15, -9)


class Cluster:
    """So many members on free ports; ready when all answer.

    certificate: a file with one and its key, which members, clients and authorities share."""

    def __init__(self, size=1, certificate=None):
        if not _ETCD:
            raise Skip("etcd is not installed: 3rd/deps test installs it")
        if not (BUILD / "luaclib/cjson.so").exists():
            raise Skip("cjson is not installed: 3rd/deps test installs it")
        self.folder = tempfile.mkdtemp(prefix="skynet-etcd-")
        self.certificate = certificate
        self.options = _tls_options(certificate) if certificate else []
        self.token = None
        self.ports = [free_port() for _ in range(size)]
        self.peer_ports = [free_port() for _ in range(size)]
        self.members = [Member(self, number) for number in range(size)]
        try:
            self.wait_ready()
        except BaseException:
            self.close()
            raise

    def wait_ready(self):
        for member in self.members:
            wait_until(lambda m=member: self._is_ready(m), f"etcd answers at {member.url}", 60)

    def _is_ready(self, member):
        try:
            answer = self.call("/v3/kv/range", {"key": _encode("x")}, member=member)
        except (OSError, Refused):
            answer = None
        member.check_running()
        return answer

    def restart(self, number):
        """Starts a member again that has ended."""
        self.members[number] = Member(self, number)
        return self.members[number]

    def url(self, prefix="/test", login=""):
        """What config key master says."""
        scheme = "etcds" if self.certificate else "etcd"
        return f"{scheme}://{login}" + ",".join(f"127.0.0.1:{p}" for p in self.ports) + prefix

    def wipe(self, number=0):
        """Ends a member that has lost all when it is started again."""
        self.members[number].kill()
        shutil.rmtree(f"{self.folder}/m{number}")

    # Looking into it

    def call(self, path, request, member=None):
        """Calls the gateway of a member (or of the first one that runs)."""
        member = member or next(m for m in self.members if m.is_running())
        headers = {"Authorization": self.token} if self.token else {}
        data = json.dumps(request).encode()
        question = urllib.request.Request(member.url + path, data, headers)
        context = None
        if self.certificate:
            context = ssl.create_default_context(cafile=self.certificate)
            context.load_cert_chain(self.certificate)
        try:
            with urllib.request.urlopen(question, timeout=DEADLINE_S, context=context) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(error.read().decode("utf-8", "replace")) from None

    def get(self, prefix="/"):
        """All keys with a prefix, and their values."""
        request = {"key": _encode(prefix), "range_end": _encode(_end(prefix))}
        answer = self.call("/v3/kv/range", request)
        return {_decode(kv["key"]): _decode(kv.get("value", "")) for kv in answer.get("kvs", [])}

    def created(self, prefix):
        """The revisions in which the keys with a prefix came to be."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.call("/v3/kv/range", {"key": _encode(prefix), "range_end": _encode(end)})
        return {_decode(kv["key"]): int(kv["create_revision"]) for kv in answer.get("kvs", [])}

    def put(self, key, value, lease="0"):
        self.call("/v3/kv/put", {"key": _encode(key), "value": _encode(value), "lease": lease})

    def grant(self, seconds):
        """A lease for put."""
        return self.call("/v3/lease/grant", {"TTL": str(seconds)})["ID"]

    def delete(self, key):
        self.call("/v3/kv/deleterange", {"key": _encode(key)})

    def lease(self, key):
        """The lease of a key that is there."""
        return self.call("/v3/kv/range", {"key": _encode(key)})["kvs"][0]["lease"]

    def revoke(self, key):
        """Ends the lease of a key."""
        self.call("/v3/lease/revoke", {"ID": self.lease(key)})

    def revision(self):
        answer = self.call("/v3/kv/range", {"key": _encode("x")})
        return int(answer["header"]["revision"])

    def compact(self):
        """Makes etcd forget all but the present."""
        self.call("/v3/kv/compaction", {"revision": str(self.revision()), "physical": True})

    def enable_users(self, user, password, prefix):
        """From now on etcd asks who calls: the user may use the prefix; root may all."""
        for name in ("root", user):
            self.call("/v3/auth/user/add", {"name": name, "password": password})
            self.call("/v3/auth/role/add", {"name": name})
            self.call("/v3/auth/user/grant", {"user": name, "role": name})
        self.permit(user, prefix)
        self.call("/v3/auth/enable", {})
        login = {"name": "root", "password": password}
        self.token = self.call("/v3/auth/authenticate", login)["token"]

    def permit(self, user, prefix):
        """The user may use the prefix."""
        permission = {"permType": 2, "key": _encode(prefix), "range_end": _encode(_end(prefix))}
        self.call("/v3/auth/role/grant", {"name": user, "perm": permission})

    def forbid(self, user, prefix):
        """The user may use the prefix no more."""
        key, end = _encode(prefix), _encode(_end(prefix))
        self.call("/v3/auth/role/revoke", {"role": user, "key": key, "range_end": end})

    def close(self):
        """The members are closed by the case, as all processes are."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        for member in self.members:
            if member.is_running():
                member.kill()
            if kind is None:
                member.close()
        self.close()
        return False


class Refused(Exception):
    """What etcd has answered instead."""


def make_certificate(folder):
    """A file with a certificate for 127.0.0.1 that vouches for itself, and its key."""
    path = f"{folder}/etcd.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=etcd", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", path, "-out", f"{path}.crt")  # fmt: skip
    with open(path, "a", encoding="ascii") as both, open(f"{path}.crt", encoding="ascii") as crt:
        both.write(crt.read())
    return path


def _tls_options(path):
    return [
        f"--cert-file={path}",
        f"--key-file={path}",
        "--client-cert-auth",
        f"--trusted-ca-file={path}.crt",  # a key in it would be too much
    ]


def _end(prefix):
    """The first key behind all that begin with it."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _encode(text):
    return base64.b64encode(text.encode()).decode()


def _decode(text):
    return base64.b64decode(text).decode()
