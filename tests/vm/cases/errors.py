"""Control mode: breaks and broken bytes of the far end are told where they were, and counted."""
from cases import case
from cases.signals import opened


@case
def breaks_and_broken_bytes_are_told_at_their_offset_and_the_data_stay_clean(gw):
    adapter, client = gw.adapters["ftdi"], opened(gw, "ftdi")
    begin, since = client.offset, client.mark()
    adapter.send(b"abc\xff\x00\xff")
    adapter.fail("parity", b"P")
    adapter.send(b"def")
    adapter.fail("break")
    adapter.send(b"\xff\xff\x00ghi")
    adapter.fail("frame", b"F")
    adapter.send(b"end")
    clean = b"abc\xff\x00\xffPdef\xff\xff\x00ghiFend"
    assert client.read(len(clean), since) == clean, client.data(since)
    told = [(entry[1]["event"], entry[1]["at"] - begin, entry[2] - begin)
            for entry in client.log[since:] if isinstance(entry[1], dict) and entry[1]["type"] == "line"]
    # What it was, where it says it was, and how many bytes had come before the message.
    assert told == [("parity", 6, 6), ("break", 10, 10), ("framing", 16, 16)], told


@case
def errors_of_the_line_are_counted_in_get_and_in_the_metrics(gw):
    def metrics():
        return {kind: gw.metric("wsbridge_line_errors_total", endpoint="ftdi", kind=kind) for kind in wanted}

    wanted = {"break": 2, "parity": 3, "framing": 1, "overrun": 1}
    adapter, client = gw.adapters["ftdi"], opened(gw, "ftdi")
    before, counted = client.ask("get")["counters"], metrics()
    since = client.mark()
    for error in ("break", "parity", "parity", "break", "parity", "frame", "overrun"):
        adapter.fail(error, b"x")
        adapter.send(b"-")
    client.until(lambda: client.data_len(since) >= 12, "the bytes around the errors")
    after = client.ask("get")["counters"]
    assert {kind: after[kind] - before[kind] for kind in wanted} == wanted, (before, after)
    gw.until(lambda: {kind: now - counted[kind] for kind, now in metrics().items()} == wanted, "the metrics agree")


@case
def a_break_through_cdc_acm_is_told_and_counted(gw):
    adapter, client = gw.adapters["acm"], opened(gw, "acm")
    before, since = client.ask("get")["counters"]["break"], client.mark()
    adapter.fail("break")
    client.wait("line", lambda message: message["event"] == "break", since)
    assert client.ask("get")["counters"]["break"] == before + 1
