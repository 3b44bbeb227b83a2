"""A line that takes nothing (CTS off, XOFF): nobody waits for ever, and nothing old leaves with what comes next."""
import contextlib

import far, ws
from cases import case, for_each, took
from cases.signals import RTS, UP, barrier, opened

OLD, NEW = b"stale command\n", b"new\n"


@contextlib.contextmanager
def stuck(adapter, how):
    """Inside, the far end lets nothing go; `rises` lets it go again."""
    def rises():
        adapter.set(cts=True)
        adapter.send(b"\x11")

    try:
        adapter.set(cts=False) if how == "hardware" else adapter.send(b"\x13")
        yield rises
    finally:
        rises()


def failure(client, kind, **members):
    """The code with which a request fails, and how long that takes (ms)."""
    at = far.now()
    try:
        client.ask(kind, timeout=60, **members)
    except ws.Failed as failed:
        return failed.code, far.now() - at
    raise AssertionError(f"{kind} was done")


@for_each("hardware", "software")
def a_break_now_gives_up_and_a_flush_says_what_the_driver_kept(gw, flow):
    adapter, client = gw.adapters["ftdi"], opened(gw, "ftdi", config={"flow": flow})
    barrier(adapter, client)
    with stuck(adapter, flow) as rises:
        since = adapter.mark()
        client.write(b"a" * 2000)
        gw.until(lambda: adapter.state()["fifo"] == 128, "the adapter is full")
        code, ms = failure(client, "signals", now=True, **{"break": True})
        assert code == "timeout", code
        said = took("gave up after", ms, 20_000)
        # What waits in the kernel would keep this waiting.
        flushed = client.ask("flush", tx=True)
        assert 0 < flushed["bytes"] <= 2000, flushed
        assert adapter.received(since) in (b"", b"a"), adapter.received(since)
        rises()
        # It was told as kept, and leaves; a timeout has discarded nothing.
        adapter.wait_received(flushed["bytes"], since)
        client.ask("signals", steps=[{"break": True, "ms": 10}, {"break": False}])
    return f"{said}, kept {flushed['bytes']}"


@for_each("hardware", "software")
def what_a_session_left_on_a_stuck_ft232_never_leaves_with_the_next_ones_bytes(gw, flow):
    """Few bytes are with the adapter alone, many with the driver as well. DTR and RTS rise as with every open, and go back
    to where a client had them; where they are up, they do not move."""
    adapter, said = gw.adapters["ftdi"], []
    with gw.changed("ftdi", serial={"flow": "rtscts" if flow == "hardware" else "xonxoff"}):
        for old, levels, moves in ((OLD, RTS, [UP, RTS]), (OLD * 300, UP, [])):
            client, watcher = opened(gw, "ftdi", signals=levels), gw.control("ftdi", user="bob")
            watcher.open(role="observer")
            barrier(adapter, client)
            with stuck(adapter, flow) as rises:
                since, mark = adapter.mark(), watcher.mark()
                client.write(old)
                full = min(len(old), 128)
                gw.until(lambda: adapter.state()["fifo"] == full, "the adapter has what it can hold")
                client.ask("close")
                down = watcher.wait("status", lambda told: told["state"] == "down", mark)
                watcher.wait("status", lambda told: told["state"] == "up", mark)
                again = gw.control("ftdi")
                again.open(role="writer")
                again.write(NEW)
                rises()
                adapter.wait(lambda event: "tx" in event and bytes.fromhex(event["tx"]).endswith(b"\n"), since)
            assert adapter.received(since).lstrip(b"s") == NEW, adapter.received(since)
            assert [event["lines"] for event in adapter.seen("lines", since)] == moves, adapter.events[since:]
            said.append(f"{len(old)} bytes: {down['error']}")
            gw.tidy()
    return "; ".join(said)


@case
def a_stuck_16550A_discards_what_its_session_left_and_stays_open(gw):
    uart = far.Uart(gw.guest.path("ttyS1.sock"))
    try:
        with gw.changed("uart", serial={"flow": "xonxoff"}):
            client, watcher = opened(gw, "uart"), gw.control("uart", user="bob")
            watcher.open(role="observer")
            client.write(b"first")
            assert uart.receive(5) == b"first"
            uart.send(b"\x13")
            uart.send(b"seen")                       # behind the XOFF: it is in force when this is here
            client.read(4)
            mark = watcher.mark()
            client.write(OLD * 100)
            client.until(lambda: client.tx_acked >= 5 + len(OLD) * 100, "the driver has it")
            code, _ = failure(client, "signals", now=True, **{"break": True})
            assert code == "timeout", code
            client.ask("close")
            again = gw.control("uart")
            again.open(role="writer")
            again.write(NEW)
            uart.send(b"\x11")
            assert uart.receive(len(NEW)) == NEW
            assert not [told for told in watcher.messages("status", mark) if told["state"] != "up"]
    finally:
        uart.end()
