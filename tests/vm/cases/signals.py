"""Control mode: DTR, RTS and break reach the far end as asked and when asked; its modem lines reach the clients."""
import far
from cases import case, for_each, took

UP, DTR, RTS, DOWN = ({"dtr": dtr, "rts": rts} for dtr, rts in ((True, True), (True, False), (False, True), (False, False)))


def opened(gw, name, **members):
    client = gw.control(name)
    client.open(role="writer", **members)
    return client


def moves(adapter, since, count):
    """The next `count` movements: levels, and the milliseconds between them."""
    adapter.wait(lambda _: len(adapter.seen("lines", since)) >= count, since)
    seen = adapter.seen("lines", since)
    assert len(seen) == count, f"{len(seen)} movements instead of {count}: {seen}"
    return [event["lines"] for event in seen], [b["ms"] - a["ms"] for a, b in zip(seen, seen[1:])]


def barrier(adapter, client):
    """What was asked before is done when this byte comes out."""
    since = adapter.mark()
    client.write(b"\n")
    adapter.wait_received(1, since)


def assert_paced(gaps, wanted):
    """No step comes early by more than this machine's jitter, nor absurdly late."""
    for gap, ms in zip(gaps, wanted, strict=True):
        assert max(0.3 * ms, ms - 40) <= gap <= ms + 2000, f"{gap:.0f} ms instead of {ms}: {gaps}"
    return "gaps " + ", ".join(f"{gap:.1f} for {ms}" for gap, ms in zip(gaps, wanted)) + " ms"


@for_each("ftdi", "acm")
def dtr_and_rts_of_one_step_move_together(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, signals=UP)
    barrier(adapter, client)
    since = adapter.mark()
    wanted = [DTR, RTS, UP, DOWN, UP, RTS, DTR, UP]
    for levels in wanted:
        client.ask("signals", **levels)
    barrier(adapter, client)
    assert moves(adapter, since, len(wanted))[0] == wanted


@for_each("ftdi", "acm")
def a_line_that_is_not_named_stays(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, signals=UP)
    barrier(adapter, client)
    since = adapter.mark()
    for levels in ({"dtr": False}, {"rts": False}, {"dtr": True}, {"rts": True}):
        client.ask("signals", **levels)
    barrier(adapter, client)
    assert moves(adapter, since, 4)[0] == [RTS, DOWN, DTR, UP]


@for_each("ftdi", "acm")
def the_macro_of_an_esp32_reset_moves_the_lines_in_order_with_its_pauses(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, signals=UP)
    barrier(adapter, client)
    since = adapter.mark()
    client.ask("macro", name="to-loader")
    barrier(adapter, client)
    levels, gaps = moves(adapter, since, 3)
    assert levels == [RTS, DTR, DOWN], levels
    client.ask("signals", **UP)
    return assert_paced(gaps, [100, 50])


@for_each("ftdi", "acm")
def steps_that_a_network_bunched_are_spread_again_by_their_at(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, signals=UP)
    barrier(adapter, client)
    since = adapter.mark()
    first = client.begin("signals", steps=[{"at": 5000.0, **RTS}, {"at": 5120.5, **DTR}])
    second = client.begin("signals", steps=[{"at": 5180.5, **DOWN}])
    third = client.begin("signals", steps=[{"at": 5260.5, **UP}])
    for number in (first, second, third):
        client.finish(number)
    levels, gaps = moves(adapter, since, 4)
    assert levels == [RTS, DTR, DOWN, UP], levels
    return assert_paced(gaps, [120.5, 60, 80])


@for_each("ftdi", "acm")
def a_break_is_as_long_at_the_far_end_as_asked(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name)
    barrier(adapter, client)
    since = adapter.mark()
    client.ask("signals", steps=[{"break": True, "ms": 250}, {"break": False}])
    barrier(adapter, client)
    seen = adapter.seen("break", since)
    assert [event["break"] for event in seen] == [True, False], seen
    return assert_paced([seen[1]["ms"] - seen[0]["ms"]], [250])


@for_each("ftdi", "acm")
def a_break_ends_a_second_after_the_connection_is_lost_and_dtr_and_rts_stay(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, signals=UP)
    barrier(adapter, client)
    since = adapter.mark()
    client.ask("signals", **{"break": True})
    adapter.wait(lambda event: event.get("break") is True, since)
    at = far.now()
    client.cut()
    ended = adapter.wait(lambda event: event.get("break") is False, since)
    again = gw.resume(client)
    barrier(adapter, again)
    assert not adapter.seen("lines", since), adapter.events[since:]
    return took("ended after", ended["ms"] - at, 10_000)


@for_each("ftdi", "acm")
def data_and_signals_take_effect_in_the_order_sent(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, signals=UP)
    barrier(adapter, client)
    since = adapter.mark()
    for byte, levels in ((b"A", DOWN), (b"B", UP), (b"C", DTR)):
        client.write(byte)
        client.begin("drain")
        client.begin("signals", **levels)
    client.write(b"D")
    adapter.wait_received(4, since)
    seen = adapter.order(since, "lines")
    assert seen == [b"A", DOWN, b"B", UP, b"C", DTR, b"D"], seen


@for_each("ftdi", "acm")
def modem_lines_that_the_far_end_moves_are_told_to_every_client(gw, name):
    adapter, writer, watcher = gw.adapters[name], opened(gw, name), gw.control(name, user="bob")
    watcher.open(role="observer")
    said = []
    # CDC-ACM has no CTS, and each driver shows RI as a level.
    for line in (["cts"] if name == "ftdi" else []) + ["dsr", "dcd", "ri"]:
        slowest = 0
        for level in (line == "ri", line != "ri"):
            marks = [(client, client.mark()) for client in (writer, watcher)]
            at = far.now()
            adapter.set(**{line: level})
            for client, since in marks:
                told = client.wait_entry("signals", lambda message: message[line] is level, since)
                slowest = max(slowest, told[0] - at)
            assert writer.ask("get")["signals"][line] is level
        said.append(took(line, slowest, 10_000))
    return "told after " + ", ".join(said)
