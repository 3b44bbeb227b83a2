"""A line whose writer is lost while it takes nothing: nobody waits for ever, and what is not held up is done."""
import far
from cases import case, took
from cases.signals import RTS, UP, barrier, opened
from cases.stuck import NEW, OLD, stuck


def told_of(gw):
    """What the journal has of lost writers, with all fields."""
    lines = gw.guest.run("journalctl --no-pager -o json -u wsbridge").splitlines()
    return [line for line in lines if "writer lost" in line]


@case
def a_line_held_back_by_cts_loses_its_writer_and_its_dtr_falls_all_the_same(gw):
    """The FT232 keeps what is to be discarded, and is opened again: the steps come after that."""
    adapter = gw.adapters["ftdi"]
    steps = [{"after": "0s"}, {"send": "SAFE"}, {"signals": {"dtr": False}}, {"break": "20ms"}]
    with gw.changed("ftdi", serial={"flow": "rtscts"}, on_writer_lost=steps):
        client = opened(gw, "ftdi", signals=UP)
        barrier(adapter, client)
        with stuck(adapter, "hardware") as rises:
            since, at, before = adapter.mark(), far.now(), len(told_of(gw))
            client.write(OLD * 300)
            gw.until(lambda: adapter.state()["fifo"] == 128, "the adapter has what it can hold")
            client.cut()
            gw.until(lambda: len(told_of(gw)) == before + 1, "what was done")
            said = took("told after", far.now() - at, 30_000)
            told = told_of(gw)[-1]
            assert "why=client_lost done=2 of=3 undone=" in told and "send: " in told, told
            assert adapter.seen("lines", since)[-1]["lines"] == RTS, adapter.events[since:]
            again = gw.control("ftdi", user="bob")
            again.open(role="writer")
            again.write(NEW)
            rises()
            adapter.wait(lambda event: "tx" in event and bytes.fromhex(event["tx"]).endswith(b"\n"), since)
        assert adapter.received(since).lstrip(b"s\0") == NEW, adapter.received(since)
    return said
