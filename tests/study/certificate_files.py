"""Certificates for TLS, made as docs/guides/cluster.md says, and the options that name them."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_certificates(folder, *names):
    subprocess.run(["sh", ROOT / "docs" / "make_certificates.sh", folder, *names], check=True)
    return folder


def tls(folder, name="client", key=None):
    return {
        "tls_ca_file": folder / "ca.pem",
        "tls_cert": folder / f"{name}.pem",
        "tls_key": folder / f"{key or name}-key.pem",
    }
