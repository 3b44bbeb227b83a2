"""Good and forged tokens, signed by two libraries that nobody here wrote.

    identity_tokens.py JWKS-FILE ISSUER    writes the public keys there, prints {name: token}
"""

import base64
import hashlib
import hmac
import json
import sys
import time
import warnings

from jwcrypto import jwk, jwt as other

warnings.simplefilter("ignore")
from authlib.jose import JsonWebKey, JsonWebToken  # noqa: E402

file, issuer = sys.argv[1:3]
now = int(time.time())

rsa = jwk.JWK.generate(kty="RSA", size=2048, kid="rsa")
ec = jwk.JWK.generate(kty="EC", crv="P-256", kid="ec")
ed = jwk.JWK.generate(kty="OKP", crv="Ed25519", kid="ed")
stranger = jwk.JWK.generate(kty="RSA", size=2048, kid="stranger")
public = [json.loads(key.export_public()) for key in (rsa, ec, ed)]
with open(file, "w", encoding="utf-8") as out:
    json.dump({"keys": public}, out)


def claims(**more):
    """The claims of a good token, and others."""
    all = {"iss": issuer, "aud": "wsbridge", "sub": "anna", "iat": now, "exp": now + 300, "groups": ["plc-team"]}
    all.update(more)
    return {name: value for name, value in all.items() if value is not None}


def authlib(key, alg, body, **head):
    """Signed by Authlib."""
    key = JsonWebKey.import_key(json.loads(key.export_private()))
    jose = JsonWebToken([alg])
    return jose.encode({"alg": alg, "kid": key.kid, **head}, body, key).decode()


def jwcrypto(key, alg, body, **head):
    """Signed by JWCrypto."""
    token = other.JWT(header={"alg": alg, "kid": key.get("kid"), "typ": "JWT", **head}, claims=body)
    token.make_signed_token(key)
    return token.serialize()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(head, body, key=None):
    """What no library would make: an HMAC over it, or nothing."""
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode())
    mac = hmac.new(key, text.encode(), hashlib.sha256).digest() if key else b""
    return text + "." + b64(mac)


good = authlib(rsa, "RS256", claims())
head, body, signature = good.split(".")
tokens = {
    "good/authlib-rs256": good,
    "good/authlib-es256": authlib(ec, "ES256", claims()),
    "good/authlib-eddsa": authlib(ed, "EdDSA", claims()),
    "good/jwcrypto-rs256": jwcrypto(rsa, "RS256", claims()),
    "good/jwcrypto-es256": jwcrypto(ec, "ES256", claims(aud=["x", "wsbridge"])),
    "good/jwcrypto-eddsa": jwcrypto(ed, "EdDSA", claims(nbf=now)),
    "guest": authlib(rsa, "RS256", claims(sub="guest", groups=["others"])),
    "short": authlib(rsa, "RS256", claims(sub="short", exp=now + 4)),
    "namesake": authlib(rsa, "RS256", claims(sub="alice", groups=["plc-team"])),
    "bad/none": by_hand({"alg": "none", "kid": "rsa"}, claims()),
    "bad/nOnE": by_hand({"alg": "nOnE"}, claims()),
    "bad/hs256-with-the-public-pem": by_hand({"alg": "HS256", "kid": "rsa"}, claims(), rsa.export_to_pem()),
    "bad/hs256-with-the-public-jwk": by_hand({"alg": "HS256", "kid": "rsa"}, claims(), json.dumps(public[0]).encode()),
    "bad/rs256-over-an-hmac": by_hand({"alg": "RS256", "kid": "rsa"}, claims(), rsa.export_to_pem()),
    "bad/es256-with-the-rsa-key": by_hand({"alg": "ES256", "kid": "rsa"}, claims(), b"x"),
    "bad/rs384": authlib(rsa, "RS384", claims()),
    "bad/ps256": authlib(rsa, "PS256", claims()),
    "bad/jku": authlib(rsa, "RS256", claims(), jku="https://evil.example/keys"),
    "bad/jwk": jwcrypto(stranger, "RS256", claims(), jwk=json.loads(stranger.export_public())),
    "bad/x5u": authlib(rsa, "RS256", claims(), x5u="https://evil.example/cert"),
    "bad/crit": by_hand({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}, claims(), b"x"),
    "bad/stranger": jwcrypto(stranger, "RS256", claims()),
    "bad/stranger-under-our-name": authlib(
        jwk.JWK.from_json(json.dumps({**json.loads(stranger.export_private()), "kid": "rsa"})), "RS256", claims()
    ),
    "bad/other-claims-under-a-good-signature": ".".join([head, b64(json.dumps(claims(sub="root")).encode()), signature]),
    "bad/no-signature": f"{head}.{body}.",
    "bad/padded": good + "==",
    "bad/issuer": authlib(rsa, "RS256", claims(iss="https://evil.example")),
    "bad/audience": authlib(rsa, "RS256", claims(aud="other")),
    "bad/no-audience": authlib(rsa, "RS256", claims(aud=None)),
    "bad/no-expiry": authlib(rsa, "RS256", claims(exp=None)),
    "bad/no-subject": authlib(rsa, "RS256", claims(sub=None)),
    "bad/not-yet": authlib(rsa, "RS256", claims(nbf=now + 120)),
    "bad/from-the-future": authlib(rsa, "RS256", claims(iat=now + 120)),
    "bad/a-week-long": authlib(rsa, "RS256", claims(exp=now + 7 * 86400)),
    "expired": authlib(rsa, "RS256", claims(exp=now - 1, iat=now - 300)),
}
print(json.dumps(tokens))
