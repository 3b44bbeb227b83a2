"""Tokens, tickets, sign-ins and certificates: who gets in, and what is never shown to whom."""

import hashlib
import json
import os
import socket
import ssl
import subprocess
import threading
import unittest
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import serial
import serialx
from equipment import BINARY, PATIENCE, Cutter, Gateway, token

import wsbridge  # noqa: F401

ECHO = "  e: { sim: echo }\n"
LISTEN = 'listen: [ { address: "127.0.0.1:0", tls: none } ]\n'
TOKENS = LISTEN + "tokens:\n" + token("anna", "read, write, settings")
PASSWORD = "correct horse battery"


class Case(unittest.TestCase):
    def setUp(self):
        self.home = Path(self.enterContext(TemporaryDirectory()))
        self.enterContext(mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.home)}))
        os.environ.pop("WSBRIDGE_TOKEN", None)

    def echoes(self, url, **kwargs):
        with serial.serial_for_url(url, timeout=PATIENCE, **kwargs) as port:
            port.write(b"x")
            self.assertEqual(port.read(1), b"x")

    def raises(self, text):
        return self.assertRaisesRegex(serial.SerialException, text)


class Tokens(Case):
    def setUp(self):
        super().setUp()
        self.gw = self.enterContext(Gateway(ECHO, TOKENS))
        self.url = self.gw.url("e")

    def test_without_one_it_is_said_what_to_do(self):
        with self.raises("HTTP 401.*: sign in with `wsbridge login http://127.0.0.1"):
            self.echoes(self.url)

    def test_of_the_program_the_environment_or_a_file(self):
        self.echoes(self.url, token="wsb_anna")
        with mock.patch.dict(os.environ, {"WSBRIDGE_TOKEN": "wsb_anna"}):
            self.echoes(self.url)
            with self.raises("the token that the program gave is not good there"):
                self.echoes(self.url, token="wsb_wrong")
        file = self.home / "token"
        file.write_text("wsb_anna\n")
        self.echoes(f"{self.url}?token_file={file}")
        with serialx.serial_for_url(self.url, 9600, token="wsb_anna", read_timeout=9) as port:
            port.write(b"x")
            self.assertEqual(port.readexactly(1), b"x")

    def test_that_is_wrong_is_named_and_not_shown(self):
        file = self.home / "token"
        for text, why in [("wsb_wrong", "is not good"), ("two words", "a token and nothing else")]:
            file.write_text(text)
            with self.raises(why) as told:
                self.echoes(f"{self.url}?token_file={file}")
            self.assertNotIn(text, str(told.exception))
        with self.raises("No such file"):
            self.echoes(f"{self.url}?token_file={self.home}/none")
        with self.assertRaisesRegex(ValueError, "no token"):
            self.echoes(f"{self.url}?token=wsb_anna")

    def test_tickets_are_asked_for_with_each_connection(self):
        given = []

        def ticket():
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.gw.port}/api/ticket",
                b'{"endpoint": "e"}',
                {"Authorization": "Bearer wsb_anna", "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request) as answer:
                given.append(json.load(answer)["ticket"])
            return given[-1]

        cutter = Cutter(self.gw.port, ())
        self.addCleanup(cutter.close)
        url = self.gw.url("e", cutter.port)
        with serial.serial_for_url(url, ticket=ticket, timeout=PATIENCE) as port:
            cutter.cut()
            port.write(b"x")
            self.assertEqual(port.read(1), b"x")
        self.assertEqual(len(set(given)), 2)

    def test_a_redirect_is_not_followed(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def redirect():
            near, _ = listener.accept()
            near.recv(4096)
            to = f"Location: {self.url.replace('wsbridge+http', 'ws')}\r\n"
            near.sendall(f"HTTP/1.1 307 Elsewhere\r\n{to}Content-Length: 0\r\n\r\n".encode())
            near.close()

        threading.Thread(target=redirect).start()
        with self.raises("HTTP 307"):
            self.echoes(self.gw.url("e", listener.getsockname()[1]), token="wsb_anna")


class SignIns(Case):
    def test_of_wsbridge_login_is_used_and_ends(self):
        section = subprocess.run(
            [BINARY, "passwd", "alice", "--role", "operator"],
            input=f"{PASSWORD}\n",
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        roles = 'roles: { operator: { "*": [ read, write, settings ] } }\n'
        gw = self.enterContext(Gateway(ECHO, f"{LISTEN}{roles}users:\n  {section}"))
        address = f"http://127.0.0.1:{gw.port}"
        login = [BINARY, "login", address, "--user", "alice"]
        subprocess.run(login, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
        self.echoes(gw.url("e"))
        [file] = self.home.glob("wsbridge/*.sign-in")
        file.chmod(0o644)
        with self.raises("other users may read or write it"):
            self.echoes(gw.url("e"))
        file.chmod(0o600)
        kept = file.read_text()
        subprocess.run([BINARY, "logout", address], check=True, capture_output=True)
        with self.raises("sign in with"):
            self.echoes(gw.url("e"))
        file.write_text(kept)
        file.chmod(0o600)
        with self.raises("the sign-in has ended; `wsbridge login"):
            self.echoes(gw.url("e"))


class Certificates(Case):
    def setUp(self):
        super().setUp()
        head = 'listen: [ { address: "127.0.0.1:0", tls: self-signed } ]\ntokens:\n'
        self.gw = self.enterContext(Gateway(ECHO, head + token("anna", "read, write, settings")))
        os.environ["WSBRIDGE_TOKEN"] = "wsb_anna"
        self.url = f"wsbridge://127.0.0.1:{self.gw.port}/e"
        shown = ssl.get_server_certificate(("127.0.0.1", self.gw.port))
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest()

    def test_that_nobody_has_vouched_for_is_refused_with_what_to_do(self):
        with self.raises("its certificate is not trusted: .*; say .ca=FILE or .fingerprint="):
            self.echoes(self.url)

    def test_of_an_authority_that_was_named(self):
        self.echoes(f"{self.url}?ca={self.gw.folder.name}/state/tls/ca.crt")
        with self.raises("ca=/nowhere"):
            self.echoes(f"{self.url}?ca=/nowhere")

    def test_by_its_fingerprint(self):
        self.echoes(f"{self.url}?fingerprint={self.fingerprint}")
        with self.raises(f"fingerprint is {self.fingerprint[:2].upper()}:"):
            self.echoes(f"{self.url}?fingerprint={'00' * 32}")

    def test_a_wrong_one_is_shown_no_token(self):
        heard = []
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = Path(self.gw.folder.name)
        context.load_cert_chain(folder / "state/tls/cert.pem", folder / "state/tls/key.pem")

        def listen():
            near, _ = listener.accept()
            try:
                with context.wrap_socket(near, server_side=True) as tls:
                    heard.append(tls.recv(1))
            except OSError:
                heard.append(b"")

        listening = threading.Thread(target=listen)
        listening.start()
        url = f"wsbridge://127.0.0.1:{listener.getsockname()[1]}/e?fingerprint={'00' * 32}"
        with self.raises("not trusted"):
            self.echoes(url, token="wsb_secret")
        listening.join(PATIENCE)
        self.assertEqual(heard, [b""])

    def test_as_wsbridge_login_was_told(self):
        sign_in = {"gateway": "", "user": "anna", "token": "wsb_anna"}
        del os.environ["WSBRIDGE_TOKEN"]
        for trust in (
            {"fingerprint": list(bytes.fromhex(self.fingerprint))},
            {"ca": f"{self.gw.folder.name}/state/tls/ca.crt"},
        ):
            file = self.home / "wsbridge" / f"127.0.0.1_{self.gw.port}.sign-in"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps({**sign_in, "trust": trust}))
            file.chmod(0o600)
            self.echoes(self.url)


if __name__ == "__main__":
    unittest.main()
