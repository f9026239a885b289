"""Calls the endpoint by the Python client that is published for this API.

The client sends neither application id nor nonce by itself; its `headers` setting takes them. That
setting holds for all requests of a client, and a nonce for one, so each call has its own client.
"""

import sys
from importlib.metadata import version

import httpx
from credentials import CLIENT_SIDE, SERVER_SIDE, new_nonce, signature
from dfns_sdk import (
    DfnsClient,
    DfnsClientConfig,
    DfnsDelegatedClient,
    DfnsDelegatedClientConfig,
    DfnsError,
)

BASE_URL = sys.argv[1]
VERSION = version("dfns-sdk")


class Signed(httpx.Auth):
    requires_request_body = True

    def auth_flow(self, request):
        request.headers["x-dfns-apisignature"] = signature(
            request.method, str(request.url), request.headers, request.content
        )
        yield request


def headers(app, **more):
    return {"X-DFNS-APPID": app["id"], "X-DFNS-NONCE": new_nonce()} | more


def client(headers, kind=DfnsClient, config=DfnsClientConfig):
    return kind(config(auth_token="of-no-concern-here", base_url=BASE_URL, headers=headers))


def call(client, username):
    return client.auth.resend_registration_code(
        body={"username": username, "orgId": "example-org-id"}
    )


def succeeds(name, client):
    answer = call(client, f"{name}@example.co")
    assert answer == {"message": "success"}, answer
    print(f"mail {name}@example.co")


def is_refused(client, status, message, username="jane@example.co"):
    try:
        answer = call(client, username)
    except DfnsError as error:
        assert (error.status_code, error.message) == (status, message), repr(error)
    else:
        raise AssertionError(answer)


def signing(headers):
    signing = client(headers)
    signing._http._client.auth = Signed()
    return signing


secret = {"X-DFNS-APPSECRET": SERVER_SIDE["secrets"][0]}
succeeds("python", client(headers(CLIENT_SIDE)))
succeeds(
    "python.delegated",
    client(headers(CLIENT_SIDE), DfnsDelegatedClient, DfnsDelegatedClientConfig),
)
succeeds("python.signed", signing(headers(SERVER_SIDE, **secret)))
is_refused(client({}), 401, "application is missing or invalid")
is_refused(
    client(headers(SERVER_SIDE, **secret)), 401, "api signature is missing or invalid"
)
used = client(headers(CLIENT_SIDE))
call(used, "nobody@example.co")
is_refused(used, 400, "request nonce has already been used")
is_refused(
    client(headers(CLIENT_SIDE)),
    400,
    "username is no e-mail address of 3 to 254 bytes",
    username="jane",
)
print(f"passed dfns-sdk {VERSION}")
