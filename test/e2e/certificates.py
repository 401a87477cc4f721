"""Certificates that tests make for themselves, with the openssl program."""

import shutil
import subprocess
import tempfile
from pathlib import Path


class Files:
    """Certificates in a folder: of an authority, and of servers and clients that it knows."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="skynet-test-"))
        self.authority = self.make("authority", None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(self, name, names, signed=True):
        """A file with a certificate, and its key. names: as "DNS:a.test"; None: an authority."""
        path = self.folder / f"{name}.pem"
        key = self.folder / f"{name}.key"
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                 "-keyout", key, "-out", path]
        if names:
            words += ["-addext", f"subjectAltName={names}",
                      "-addext", "basicConstraints=critical,CA:FALSE"]
            if signed:
                words += ["-CA", self.authority, "-CAkey", self.folder / "authority.key"]
        subprocess.run(words, check=True, capture_output=True)
        with open(path, "a", encoding="ascii") as both:
            both.write(key.read_text())
        return path
