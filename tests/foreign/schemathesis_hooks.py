"""Gives schemathesis the credentials of the example server's applications.

CALLER says who calls: `anonymous` sends what schemathesis makes up, `client` is the client-side
application, `server` the server-side one, which signs. A nonce that the document allows is replaced
by a new one, since no generator can know that it has to be new; every other one is sent as it is.
"""

import os
import re
import sys
from pathlib import Path

import requests
import schemathesis

sys.path.insert(0, str(Path(__file__).parent))
from credentials import CLIENT_SIDE, SERVER_SIDE, new_nonce, signature, text

CALLER = os.environ["CALLER"]
NONCE = re.compile(r"[A-Za-z0-9+/_-]{1,1022}={0,2}")
# What is said about a malformed header before anybody is asked, and about an unknown application.
OF_CREDENTIALS = {
    "AppInvalid",
    "AppSecretInvalid",
    "ApiSignatureInvalid",
    "NonceInvalid",
    "UserActionInvalid",
}


def bytes_of(body):
    return body.encode() if isinstance(body, str) else body or b""


class ClientSide(requests.auth.AuthBase):
    app = CLIENT_SIDE

    def __call__(self, request):
        request.headers["x-dfns-appid"] = self.app["id"]
        nonce = request.headers.get("x-dfns-nonce")
        if nonce is not None and NONCE.fullmatch(text(nonce)):
            request.headers["x-dfns-nonce"] = new_nonce()
        return request


class ServerSide(ClientSide):
    app = SERVER_SIDE

    def __call__(self, request):
        request = super().__call__(request)
        request.headers["x-dfns-appsecret"] = self.app["secrets"][0]
        request.headers["x-dfns-apisignature"] = signature(
            request.method, request.url, request.headers, bytes_of(request.body)
        )
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
