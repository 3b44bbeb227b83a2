"""An issuer that lies as it is told: what it answers for a code is what the code says.

    identity_forged.py PORT-FILE    serves until its input ends; writes its port there

A code is `CASE~NONCE~CHALLENGE~UNIQUE`: the token for it is a good one with the case's one lie, and the verifier has to
fit the challenge. At `/other/` it is another issuer, with a key of its own.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from jwcrypto import jwk, jwt

OURS = jwk.JWK.generate(kty="RSA", size=2048, kid="ours")
OTHERS = jwk.JWK.generate(kty="EC", crv="P-256", kid="others")
STRANGER = jwk.JWK.generate(kty="RSA", size=2048, kid="ours")
SECRET = "a secret of the suite"
given = {}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims, key=OURS, alg="RS256"):
    token = jwt.JWT(header={"alg": alg, "kid": key.get("kid"), "typ": "JWT"}, claims=claims)
    token.make_signed_token(key)
    return token.serialize()


def by_hand(head, claims, key=None):
    """What no library would make: an HMAC over it, or nothing."""
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
    return text + "." + b64(hmac.new(key, text.encode(), hashlib.sha256).digest() if key else b"")


def token(base, case, nonce):
    """A good token but for one thing."""
    now = int(time.time())
    claims = {
        "iss": base, "aud": "gateway", "sub": "anna", "iat": now, "exp": now + 300, "auth_time": now,
        "nonce": nonce, "groups": ["plc-team"],
    }  # fmt: skip
    lies = {
        "nonce": {"nonce": "another"},
        "no-nonce": {"nonce": None},
        "nonce-list": {"nonce": [nonce]},
        "aud": {"aud": "another"},
        "no-aud": {"aud": None},
        "azp": {"azp": "another"},
        "two-aud": {"aud": ["gateway", "another"]},
        "two-aud-azp": {"aud": ["gateway", "another"], "azp": "another"},
        "good-two-aud": {"aud": ["another", "gateway"], "azp": "gateway"},
        "iss": {"iss": "http://127.0.0.1:1"},
        "iss-slash": {"iss": base + "/"},
        "expired": {"iat": now - 600, "exp": now - 1},
        "no-exp": {"exp": None},
        "future": {"iat": now + 120},
        "week": {"exp": now + 7 * 86400},
        "stale": {"auth_time": now - 600},
        "no-auth-time": {"auth_time": None},
        "no-sub": {"sub": None},
    }
    claims.update(lies.get(case, {}))
    claims = {name: value for name, value in claims.items() if value is not None}
    if case == "none":
        return by_hand({"alg": "none", "kid": "ours"}, claims)
    if case == "hmac":
        return by_hand({"alg": "HS256", "kid": "ours"}, claims, SECRET.encode())
    if case == "hmac-pem":
        return by_hand({"alg": "HS256", "kid": "ours"}, claims, OURS.export_to_pem())
    if case == "stranger":
        return signed(claims, STRANGER)
    if case == "unknown":
        return signed(claims, jwk.JWK.generate(kty="RSA", size=2048, kid="unknown"))
    if base.endswith("/other"):
        return signed(claims, OTHERS, "ES256")
    return signed(claims)


class Issuer(BaseHTTPRequestHandler):
    def base(self):
        mine = f"http://127.0.0.1:{self.server.server_port}"
        return mine + "/other" if self.path.startswith("/other/") else mine

    def say(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        base = self.base()
        if self.path.endswith("/.well-known/openid-configuration"):
            self.say(
                {
                    "issuer": base,
                    "authorization_endpoint": base + "/authorize",
                    "token_endpoint": base + "/token",
                    "jwks_uri": base + "/keys",
                    # The other one names itself in each answer (RFC 9207).
                    "authorization_response_iss_parameter_supported": base.endswith("/other"),
                }
            )
        else:
            key = OTHERS if base.endswith("/other") else OURS
            self.say({"keys": [json.loads(key.export_public())]})

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        code = form["code"][0]
        case, nonce, challenge, _ = code.split("~")
        fits = b64(hashlib.sha256(form["code_verifier"][0].encode()).digest()) == challenge
        basic = base64.b64encode(f"gateway:{SECRET.replace(' ', '%20')}".encode()).decode()
        whose = "/other" in self.path
        if not fits or self.headers["Authorization"] != f"Basic {basic}" or (case == "others-code") != whose:
            self.say({"error": "invalid_grant"}, 400)
        elif case == "no-token":
            self.say({"access_token": "x"})
        elif case == "replay":
            # The one that somebody was signed in by already.
            self.say({"id_token": given["good"]})
        else:
            given[case] = token(self.base(), case, nonce)
            self.say({"id_token": given[case]})

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(sys.argv[1] + ".new", "w", encoding="utf-8") as file:
    file.write(str(server.server_port))
os.rename(sys.argv[1] + ".new", sys.argv[1])
sys.stdin.read()
