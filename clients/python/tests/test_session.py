"""The session's rules, without a network: what is sent again, and what is not."""

import json
import unittest

from wsbridge.error import LineError
from wsbridge.session import WINDOW, Session

HELLO = {"type": "hello", "v": 1, "endpoint": {"name": "e", "caps": []}, "resume": 60}


def opened(*, window=65536, caps=()):
    """A session that has just begun."""
    session = Session()
    session.connected({**HELLO, "endpoint": {"name": "e", "caps": list(caps)}})
    session.ask({"type": "open"})
    number = json.loads(session.next_frame())["id"]
    place = {"session": "s", "epoch": "e", "rx": 100, "tx": 0, "window": window, "role": "writer"}
    session.heard(json.dumps({"type": "opened", "re": number, **place}))
    return session


def frames(session):
    return list(iter(session.next_frame, None))


def resume(session, tx, rx=100):
    """Another connection, where the gateway has taken `tx` bytes."""
    session.lost()
    session.connected(HELLO)
    ask = json.loads(session.first_frame())
    assert session.next_frame() is None
    place = {"session": "s", "epoch": "e", "rx": rx, "tx": tx, "role": "writer"}
    session.heard(json.dumps({"type": "resumed", "re": ask["id"], **place}))
    return ask


class Told(unittest.TestCase):
    def test_what_a_session_may_do_follows_the_gateways_word(self):
        session = Session()
        session.connected({**HELLO, "endpoint": {"name": "e", "rights": ["read", "write"]}})
        self.assertEqual((session.rights, session.held), (["read", "write"], None))
        session.heard('{"type": "rights", "rights": ["read"], "why": "held"}')
        self.assertEqual((session.rights, session.held), (["read"], "held"))
        session.heard('{"type": "rights", "rights": ["read", "write"]}')
        self.assertEqual((session.rights, session.held), (["read", "write"], None))

    def test_of_messages_for_people_the_last_eight_are_kept(self):
        session = opened()
        for n in range(9):
            session.heard(json.dumps({"type": "notice", "from": "anna", "text": str(n)}))
        self.assertEqual(list(session.notices), [("anna", str(n)) for n in range(1, 9)])


class Sending(unittest.TestCase):
    def test_what_the_gateway_has_not_taken_is_sent_again(self):
        session = opened()
        session.output.push(memoryview(b"0123456789"))
        self.assertEqual(frames(session), [b"0123456789"])
        session.heard('{"type": "ack", "tx": 2}')
        resume(session, 6)
        self.assertEqual(frames(session), [b"6789"])

    def test_more_than_the_window_waits(self):
        session = opened(window=4096)
        self.assertEqual(session.output.push(memoryview(bytes(5000))), 4096)
        frames(session)
        self.assertEqual(session.output.push(memoryview(b"x")), 0)
        session.heard('{"type": "ack", "tx": 1000}')
        self.assertEqual(session.output.push(memoryview(bytes(2000))), 1000)

    def test_requests_keep_their_place_between_the_bytes_over_a_resume(self):
        session = opened()
        session.output.push(memoryview(b"before"))
        session.ask({"type": "config", "baud": 9600}, in_line=True)
        session.output.push(memoryview(b"after"))
        before, config, after = frames(session)
        self.assertEqual((before, json.loads(config)["baud"], after), (b"before", 9600, b"after"))
        resume(session, 3)
        self.assertEqual(frames(session), [b"ore", config, b"after"])

    def test_a_step_of_dtr_that_was_taken_is_not_made_twice(self):
        session = opened()
        moved = session.ask({"type": "signals", "steps": [{"dtr": False}]}, in_line=True)
        session.output.push(memoryview(b"after"))
        frames(session)
        # The gateway has bytes that came after it, so it has it.
        resume(session, 2)
        self.assertEqual(frames(session), [b"ter"])
        self.assertTrue(moved.done())

    def test_a_step_of_dtr_that_was_not_taken_is_made(self):
        session = opened()
        session.output.push(memoryview(b"before"))
        session.ask({"type": "signals", "steps": [{"dtr": False}]}, in_line=True)
        _, step = frames(session)
        resume(session, 1)
        self.assertEqual(frames(session), [b"efore", step])

    def test_discarding_drops_what_was_not_sent_and_keeps_what_is_in_line(self):
        session = opened()
        session.output.push(memoryview(b"x"))
        frames(session)
        session.output.push(memoryview(b"never"))
        session.ask({"type": "drain"}, in_line=True)
        session.ask({"type": "flush", "rx": False, "tx": True})
        self.assertEqual([json.loads(each)["type"] for each in frames(session)], ["flush", "drain"])

    def test_datagrams_stay_whole(self):
        session = opened(caps=["datagrams"])
        for each in (b"one", b"three", b"x" * 20000):
            session.output.push(memoryview(each))
        self.assertEqual(frames(session), [b"one", b"three", b"x" * 20000])
        resume(session, 3)
        self.assertEqual(frames(session), [b"three", b"x" * 20000])
        with self.assertRaisesRegex(LineError, "65507"):
            session.output.push(memoryview(bytes(65508)))


class Receiving(unittest.TestCase):
    def test_what_was_received_is_not_asked_for_again(self):
        session = opened()
        session.heard(b"abc")
        self.assertEqual(resume(session, 0, rx=103)["rx"], 103)
        session.heard(b"def")
        self.assertEqual(session.take(10), b"abcdef")

    def test_bytes_are_acknowledged_when_they_are_read(self):
        session = opened()
        session.heard(bytes(WINDOW // 2))
        self.assertEqual(frames(session), [])
        session.take(WINDOW // 4)
        [ack] = frames(session)
        self.assertEqual(json.loads(ack), {"type": "ack", "rx": 100 + WINDOW // 4})

    def test_missing_bytes_are_told_where_they_are_missing(self):
        session = opened()
        session.heard(b"before")
        session.heard('{"type": "gap", "from": 106, "to": 206}')
        session.heard(b"after")
        self.assertEqual(session.take(100), b"before")
        self.assertTrue(session.has_gap)
        self.assertIn("100 bytes were lost", str(session.skip_gap()))
        self.assertEqual(session.take(100), b"after")

    def test_what_came_before_the_input_was_discarded_is_dropped(self):
        session = opened()
        session.heard(b"old")
        session.ask({"type": "flush", "rx": True, "tx": False})
        [flush] = frames(session)
        session.heard(b"under way")
        answer = {"type": "ok", "re": json.loads(flush)["id"], "rx": 112}
        session.heard(json.dumps(answer))
        session.heard(b"new")
        self.assertEqual(session.take(100), b"new")

    def test_a_message_of_a_newer_gateway_is_ignored_and_nonsense_is_not(self):
        session = opened()
        session.heard('{"type": "weather", "rain": true}')
        for nonsense in ("[", "{}", "[1]", '{"type": "ack"}', '{"type": "ack", "tx": 5}'):
            with self.assertRaises(LineError, msg=nonsense) as told:
                session.heard(nonsense)
            self.assertEqual(told.exception.code, "foreign")

    def test_a_session_that_is_gone_ends_everything(self):
        session = opened()
        drained = session.ask({"type": "drain"}, in_line=True)
        session.lost()
        session.connected(HELLO)
        number = json.loads(session.first_frame())["id"]
        gone = {"type": "error", "re": number, "code": "session_gone", "message": "restarted"}
        session.heard(json.dumps(gone))
        self.assertEqual(session.broken.code, "session_gone")
        self.assertEqual(drained.exception().code, "session_gone")


if __name__ == "__main__":
    unittest.main()
