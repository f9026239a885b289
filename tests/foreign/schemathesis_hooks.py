"""Gives schemathesis the credentials of the example server's applications.

CALLER says who calls: `anonymous` sends what schemathesis makes up, `client` is the client-side
application, `server` the server-side one, which signs. A nonce that the document allows is replaced
by a new one, since no generator can know that it has to be new; every other one is sent as it is.
"""

import base64
import json
import os
import re
import uuid
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

CALLER = os.environ["CALLER"]
EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIG = json.loads((EXAMPLES / "server.json").read_text())
NONCE = re.compile(r"[A-Za-z0-9+/_-]{1,1022}={0,2}")
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
# What is said about a malformed header before anybody is asked, and about an unknown application.
OF_CREDENTIALS = {
    "AppInvalid",
    "AppSecretInvalid",
    "ApiSignatureInvalid",
    "NonceInvalid",
    "UserActionInvalid",
}


def application(kind):
    return next(app for app in CONFIG["apps"] if app["kind"] == kind)


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def new_nonce():
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return base64url(compact({"uuid": str(uuid.uuid4()), "date": now}))


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


def bytes_of(body):
    return body.encode() if isinstance(body, str) else body or b""


def normalized(request):
    """What a signature covers, as the headers are sent."""
    url = urlsplit(request.url)
    # White space around a value is no part of it: the server sees none.
    headers = {name.lower(): text(value).strip(" \t") for name, value in request.headers.items()}
    headers.setdefault("host", url.netloc)
    members = {f"h-{name}": headers.get(name, "") for name in COVERED}
    members |= {
        "r-authority": CONFIG["authority"],
        "r-body": base64url(bytes_of(request.body)),
        "r-method": request.method.lower(),
        "r-path": url.path + (f"?{url.query}" if url.query else ""),
        "r-scheme": CONFIG["scheme"],
    }
    return compact(members)


class ClientSide(requests.auth.AuthBase):
    kind = "ClientSideApplication"

    def __call__(self, request):
        request.headers["x-dfns-appid"] = application(self.kind)["id"]
        nonce = request.headers.get("x-dfns-nonce")
        if nonce is not None and NONCE.fullmatch(text(nonce).strip(" \t")):
            request.headers["x-dfns-nonce"] = new_nonce()
        return request


class ServerSide(ClientSide):
    kind = "ServerSideApplication"
    key = load_pem_private_key((EXAMPLES / "demo-key.pem").read_bytes(), None)

    def __call__(self, request):
        request = super().__call__(request)
        request.headers["x-dfns-appsecret"] = application(self.kind)["secrets"][0]
        header = base64url(compact({"alg": "RS256", "typ": "JWT"}))
        signed = f"{header}.{base64url(normalized(request))}".encode()
        signature = self.key.sign(signed, padding.PKCS1v15(), SHA256())
        request.headers["x-dfns-apisignature"] = base64url(signature)
        return request


if CALLER != "anonymous":
    caller = {"client": ClientSide, "server": ServerSide}[CALLER]
    schemathesis.auth.set_from_requests(caller())


@schemathesis.check
def callers_without_credentials_learn_nothing(ctx, response, case):
    if CALLER == "anonymous" and case.method == "PUT":
        name = response.json()["error"]["name"]
        assert name in OF_CREDENTIALS, f"a request without credentials got as far as {name}"


@schemathesis.check
def allowed_requests_succeed(ctx, response, case):
    is_allowed = case.meta is not None and case.meta.generation.mode.is_positive
    if CALLER != "anonymous" and is_allowed and case.method == "PUT":
        assert response.json() == {"message": "success"}
