"""Credentials of the example server's applications, written from the protocol and not from the crate."""

import base64
import json
import uuid
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIG = json.loads((EXAMPLES / "server.json").read_text())
KEY = load_pem_private_key((EXAMPLES / "demo-key.pem").read_bytes(), None)
COVERED = (
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-dfns-appid",
    "x-dfns-appsecret",
    "x-dfns-nonce",
    "x-dfns-useraction",
)


def application(kind):
    return next(app for app in CONFIG["apps"] if app["kind"] == kind)


CLIENT_SIDE = application("ClientSideApplication")
SERVER_SIDE = application("ServerSideApplication")


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def new_nonce():
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return base64url(compact({"uuid": str(uuid.uuid4()), "date": now}))


def text(value):
    """White space around a header's value is no part of it: the server sees none."""
    return (value.decode("latin-1") if isinstance(value, bytes) else value).strip(" \t")


def signature(method, url, headers, body):
    """RS256 over the request as it is sent."""
    url = urlsplit(url)
    headers = {name.lower(): text(value) for name, value in headers.items()}
    headers.setdefault("host", url.netloc)
    members = {f"h-{name}": headers.get(name, "") for name in COVERED}
    members |= {
        "r-authority": CONFIG["authority"],
        "r-body": base64url(body),
        "r-method": method.lower(),
        "r-path": url.path + (f"?{url.query}" if url.query else ""),
        "r-scheme": CONFIG["scheme"],
    }
    header = base64url(compact({"alg": "RS256", "typ": "JWT"}))
    signed = f"{header}.{base64url(compact(members))}".encode()
    return base64url(KEY.sign(signed, padding.PKCS1v15(), SHA256()))
