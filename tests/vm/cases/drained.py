"""A drain means that the wire is idle: what follows it comes after the last character at the far end."""
import far, ws
from cases import case, for_each, took
from cases.signals import DOWN, UP, barrier, opened

METER = {"baud": 300, "data": 7, "parity": "even"}
READOUT = b"/?!\r\n"                     # 167 ms at 300 7E1
WIRED = ["ftdi", "ch341"]


@for_each(*WIRED)
def a_meters_request_leaves_at_300_baud_before_the_speed_changes_behind_it(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, config=METER)
    assert "drain" in client.wait("status", lambda told: told["state"] == "up")["caps"]
    barrier(adapter, client)
    since, at = adapter.mark(), far.now()
    client.write(READOUT)
    client.ask("config", baud=9600, when="drain")
    after = far.now() - at
    client.write(b"\x06050")
    adapter.wait_received(len(READOUT) + 4, since)
    assert adapter.order(since, "baud") == [READOUT, 9600, b"\x06050"], adapter.events[since:]
    return took("the speed changed after", after, 20_000)


@case
def a_16550A_is_asked_by_its_register(gw):
    client = opened(gw, "uart")
    assert "drain" in client.wait("status", lambda told: told["state"] == "up")["caps"]
    client.write(READOUT)
    client.ask("drain")
    client.ask("config", baud=9600, when="drain")
    client.ask("config", baud=115200)


@case
def of_a_cdc_acm_device_no_drain_is_promised_and_what_waits_for_one_goes_on(gw):
    adapter, client = gw.adapters["acm"], opened(gw, "acm")
    assert "drain" not in client.wait("status", lambda told: told["state"] == "up")["caps"]
    adapter.hold(True)
    since = adapter.mark()
    client.write(b"x" * 100)
    waits, drain = client.begin("config", baud=9600, when="drain"), client.begin("drain")
    assert round(adapter.state()["baud"], -2) == 115_200 and not client.answers
    adapter.hold(False)
    client.finish(waits)
    try:
        client.finish(drain)
        raise AssertionError("a drain was promised")
    except ws.Failed as failed:
        assert failed.code == "unsupported", failed
    assert adapter.order(since, "baud")[:2] == [b"x" * 100, 9600]
    client.ask("config", baud=115200)


@for_each(*WIRED)
def settings_go_back_behind_the_last_byte_of_the_session_that_had_changed_them(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, config=METER)
    barrier(adapter, client)
    since = adapter.mark()
    client.write(READOUT * 4)
    client.close()
    adapter.wait(lambda event: event.get("baud", 0) > 100_000, since)
    seen = [value for value in adapter.order(since, "baud") if value != 300]      # the frame goes back by itself, too
    assert seen == [READOUT * 4, 115_400], adapter.events[since:]


@for_each(*WIRED)
def rts_and_a_break_behind_a_drain_come_after_the_last_character(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, config={"baud": 1200}, signals=UP)
    barrier(adapter, client)
    since = adapter.mark()
    client.write(b"direction")
    client.begin("drain")
    client.begin("signals", **DOWN)
    client.write(b"wake up")             # a break waits by itself for what was sent before it
    client.ask("signals", steps=[{"break": True, "ms": 50}, {"break": False}])
    client.write(b"!")
    adapter.wait_received(17, since)
    seen = adapter.order(since, "lines", "break")
    assert seen == [b"direction", DOWN, b"wake up", True, False, b"!"], seen


@for_each(*WIRED)
def a_second_drain_does_not_wait_again(gw, name):
    adapter, client = gw.adapters[name], opened(gw, name, config={"baud": 300})
    barrier(adapter, client)
    client.ask("drain")
    at = far.now()
    for _ in range(3):
        client.ask("drain")
    return took("three drains of an idle wire", far.now() - at, 1_500)
