"""A modem's carrier and who is there: the test is the modem, whose DCD and DSR it sets and whose DTR it sees."""
import contextlib

import ws
from cases import for_each

# Both lines of both kinds of adapters.
LINES = ["ftdi dcd", "ftdi dsr", "acm dcd", "acm dsr"]


@contextlib.contextmanager
def modem(gw, name, off=(), **rules):
    """Inside, the endpoint is a modem's with these rules, and these of the modem's lines are off at first."""
    adapter = gw.adapters[name]
    adapter.set(**{line: False for line in off})
    try:
        with gw.changed(name, serial=rules):
            yield adapter
            adapter.set(dcd=True, dsr=True)
    finally:
        adapter.set(dcd=True, dsr=True)
        gw.until_up(name)


def until_down(gw, name):
    gw.until(lambda: gw.state(name) == "down", f"{name} is down")


def hears(adapter, client):
    """What the client writes comes out at the far end, and the other way round."""
    since = adapter.mark()
    client.write(b"ATA\r")
    assert adapter.wait_received(4, since) == b"ATA\r"
    adapter.send(b"CONNECT")
    return client.read(7)


def dtr(adapter, since, level):
    return adapter.wait(lambda event: event.get("lines", {}).get("dtr") is level, since)["ms"]


@for_each(*LINES)
def a_line_waits_for_its_caller_and_the_sessions_end_with_the_call(gw, where):
    name, line = where.split()
    with modem(gw, name, off=[line], wait_for=line, on_carrier_lost="end") as adapter:
        until_down(gw, name)
        try:
            gw.plain(name)
            raise AssertionError("there is no caller")
        except ws.Refused as refused:
            assert refused.status == 503 and f"{line.upper()} is off" in refused.body, refused
        adapter.send(b"RING\r\n")
        for _ in range(2):
            adapter.set(**{line: True})
            gw.until_up(name)
            plain, control = gw.plain(name), gw.control(name, "bob")
            control.open(role="observer")
            assert hears(adapter, plain) == b"CONNECT"
            since = adapter.mark()
            adapter.set(**{line: False})
            for client in (plain, control):
                assert client.wait_closed() == 4452, (client.code, client.reason)
            # The port is closed, which hangs up.
            dtr(adapter, since, False)
            until_down(gw, name)


@for_each("ftdi", "acm")
def sessions_outlive_the_carrier_where_nothing_else_is_said(gw, name):
    with modem(gw, name, on_carrier_lost="keep") as adapter:
        gw.until_up(name)
        client = gw.plain(name)
        assert hears(adapter, client) == b"CONNECT"
        since = adapter.mark()
        adapter.set(dcd=False, dsr=False)
        assert hears(adapter, client) == b"CONNECT"
        assert gw.up(name) and not adapter.seen("lines", since), adapter.events[since:]
        client.leave()


@for_each("ftdi", "acm")
def a_carrier_that_was_never_there_is_not_lost(gw, name):
    with modem(gw, name, off=["dcd"], on_carrier_lost="end") as adapter:
        gw.until_up(name)
        client = gw.plain(name)
        assert hears(adapter, client) == b"CONNECT"
        adapter.set(dcd=True)
        assert hears(adapter, client) == b"CONNECT"
        adapter.set(dcd=False)
        assert client.wait_closed() == 4452, (client.code, client.reason)


@for_each("ftdi", "acm")
def a_session_waits_for_the_next_call_where_lines_are_kept(gw, name):
    """`wait_for` alone: the line is down between calls, and a session in control mode stays."""
    with modem(gw, name, wait_for="dcd", on_carrier_lost="keep") as adapter:
        gw.until_up(name)
        client = gw.control(name)
        client.open(role="writer")
        since = client.mark()
        adapter.set(dcd=False)
        client.wait("status", lambda message: message["state"] == "down", since)
        adapter.set(dcd=True)
        client.wait("status", lambda message: message["state"] == "up", since)
        got, since = adapter.mark(), client.mark()
        client.write(b"ATA\r")
        assert adapter.wait_received(4, got) == b"ATA\r"
        client.leave()


@for_each("ftdi", "acm")
def dtr_is_on_while_somebody_is_there(gw, name):
    with modem(gw, name, signals={"while_connected": {"dtr": True}}) as adapter:
        gw.until_up(name)
        gw.until(lambda: adapter.state()["lines"]["dtr"] is False, "DTR is off")
        for _ in range(2):
            since = adapter.mark()
            first = gw.plain(name)
            dtr(adapter, since, True)
            second = gw.control(name, "bob")
            second.open(role="observer")
            since = adapter.mark()
            first.close()
            gw.until(lambda: gw.metric("wsbridge_sessions_open", endpoint=name) == 1, "one is left")
            # What the second writes comes out with DTR as it is.
            adapter.send(b"still here")
            assert second.read(10) == b"still here" and not adapter.seen("lines", since)
            second.leave()
            dtr(adapter, since, False)
