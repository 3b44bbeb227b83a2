"""A line whose writer is lost while it takes nothing: nobody waits for ever, and what is not held up is done."""
import far
from cases import case, for_each, took
from cases.signals import RTS, UP, barrier, opened
from cases.stuck import NEW, OLD, stuck

SAFE = "SAFE"


def told_of(gw):
    """What the journal has of lost writers, with all fields."""
    lines = gw.guest.run("journalctl --no-pager -o json -u wsbridge").splitlines()
    return [line for line in lines if "writer lost" in line]


@for_each("hardware", "software")
def a_lost_writers_line_that_takes_nothing_is_told_and_its_dtr_falls_all_the_same(gw, flow):
    adapter = gw.adapters["ftdi"]
    steps = [{"after": "0s"}, {"send": SAFE}, {"signals": {"dtr": False}}, {"break": "20ms"}]
    line = {"flow": "rtscts" if flow == "hardware" else "xonxoff"}
    with gw.changed("ftdi", serial=line, on_writer_lost=steps):
        client = opened(gw, "ftdi", signals=UP)
        barrier(adapter, client)
        with stuck(adapter, flow) as rises:
            since, at, before = adapter.mark(), far.now(), len(told_of(gw))
            client.write(OLD * 300)
            gw.until(lambda: adapter.state()["fifo"] == 128, "the adapter has what it can hold")
            client.cut()
            gw.until(lambda: len(told_of(gw)) == before + 1, "what was done")
            said = took("told after", far.now() - at, 20_000)
            told = told_of(gw)[-1]
            assert "client_lost" in told and "send: " in told, told
            # DTR falls and the break is sent, which CTS and XOFF do not hold up.
            adapter.wait(lambda event: event.get("lines") == RTS, since)
            again = gw.control("ftdi", user="bob")
            again.open(role="writer")
            again.write(NEW)
            rises()
            adapter.wait(lambda event: "tx" in event and bytes.fromhex(event["tx"]).endswith(b"\n"), since)
        assert adapter.received(since).lstrip(b"s\0") == NEW, adapter.received(since)
    return said
