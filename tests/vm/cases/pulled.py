"""Adapters are pulled and put back."""
import contextlib, threading

import far
from cases import case, for_each, took


@for_each("ftdi", "acm")
def a_pulled_adapter_ends_its_plain_session_with_1011_within_a_second(gw, name):
    adapter, client = gw.adapters[name], gw.plain(name)
    since = adapter.mark()
    client.write(b"x")
    adapter.wait_received(1, since)
    at = adapter.pull()
    assert client.wait_closed() == 1011, (client.code, client.reason)
    told = client.ended_ms - at
    adapter.plug()
    back = far.now()
    gw.until_up(name)
    said = took("back after", far.now() - back, 20_000)
    client, since = gw.plain(name), adapter.mark()
    client.write(b"again")
    assert adapter.wait_received(5, since) == b"again"
    return f"{took('told after', told, 10_000)}, {said}"


@for_each("ftdi", "ch341", "acm")
def what_an_adapter_took_with_it_is_counted_as_lost(gw, name):
    """What the far end did not get is told to the client, and is in the log and the metrics."""
    adapter, client = gw.adapters[name], gw.control(name)
    client.open(role="writer", config={"baud": 9600})
    lost = gw.metric("wsbridge_undelivered_bytes_total", endpoint=name)
    sent, since = 4000, adapter.mark()
    client.write(bytes(sent))
    adapter.wait_received(200, since)
    adapter.pull()
    gw.until(lambda: gw.metric("wsbridge_undelivered_bytes_total", endpoint=name) > lost, "the loss is counted")
    lost = gw.metric("wsbridge_undelivered_bytes_total", endpoint=name) - lost
    got = len(adapter.received(since))
    assert sent - got <= lost <= sent, f"{got} of {sent} arrived, {lost} counted as lost"
    told = client.wait("error", lambda message: message["code"] == "line_down")
    assert told["bytes"] == lost, (told, lost)
    client.leave()
    gw.until(lambda: f"lost_to_target={lost}" in gw.log(), "the log's last line of the session says it")
    adapter.plug()
    gw.until_up(name)
    return f"{got} of {sent} arrived, {lost} counted as lost"


@case
def two_adapters_that_come_back_under_swapped_names_are_still_the_right_endpoints(gw):
    def names():
        lines = gw.guest.run("cd /dev/serial/by-id && for l in *; do echo $l $(readlink $l); done").splitlines()
        found = dict(line.split() for line in lines)
        return [next(found[link].rsplit("/", 1)[1] for link in found if f"_{serial}-" in link) for serial in ("A1", "B2")]

    one, two = gw.adapters["ftdi"], gw.adapters["other"]
    before = names()
    one.pull(), two.pull()
    gw.until(lambda: not gw.up("ftdi") and not gw.up("other"), "both are down")
    order = (two, one) if before[0] < before[1] else (one, two)
    for adapter in order:
        adapter.plug()
        gw.until_up("ftdi" if adapter is one else "other")
    after = names()
    assert (before[0] < before[1]) != (after[0] < after[1]), f"the names did not swap: {before} {after}"
    for name, adapter in (("ftdi", one), ("other", two)):
        client, since = gw.plain(name), adapter.mark()
        client.write(name.encode())
        assert adapter.wait_received(len(name), since) == name.encode()
        adapter.send(b"from " + adapter.serial.encode())
        assert client.read(7) == b"from " + adapter.serial.encode()
    return f"{before} became {after}"


@contextlib.contextmanager
def load(adapter, client):
    """Inside, bytes go both ways all the time."""
    stopped = threading.Event()

    def run():
        block, wrote = bytes(range(256)), 0
        while not stopped.wait(0.01) and client.code is None:
            if adapter.plugged:
                adapter.send(block)
            if wrote - client.tx_acked < 16_384:
                client.write(block)
                wrote += len(block)
            client.say("ack", rx=client.offset)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@for_each("ftdi", "acm")
def an_adapter_pulled_and_put_back_under_load_keeps_its_sessions_and_gets_its_settings_again(gw, name):
    adapter = gw.adapters[name]
    anna, bob = gw.control(name), gw.control(name, user="bob")
    before = anna.open(role="writer")["config"]
    bob.open(role="observer")
    anna.ask("config", baud=57600, data=7, parity="even")
    with load(adapter, anna):
        adapter.wait_received(4096, adapter.mark())
        anna.read(4096)
        marks = [(client, client.mark()) for client in (anna, bob)]
        at = adapter.pull()
        downs = [client.wait_entry("status", lambda message: message["state"] == "down", mark) for client, mark in marks]
        offset = anna.offset
        assert {down[1]["at"] for down in downs} == {offset}, (offset, downs)
        marks = [(client, client.mark()) for client in (anna, bob)]
        plugged = adapter.mark()
        adapter.plug()
        back = adapter.wait(lambda event: event.get("usb") == "connected", plugged)["ms"]
        ups = [client.wait_entry("status", lambda message: message["state"] == "up", mark) for client, mark in marks]
        adapter.wait_received(4096, plugged)
        anna.until(lambda: anna.offset >= offset + 4096, "data after the device came back")
    state = adapter.state()
    assert abs(state["baud"] - 57600) < 200 and (state["bits"], state["parity"]) == (7, "E"), state
    assert anna.code is None and bob.code is None
    assert anna.ask("get")["config"]["baud"] == 57600
    anna.ask("config", **before)
    told, again = max(down[0] for down in downs) - at, max(up[0] for up in ups) - back
    return f"{took('told after', told, 10_000)}, {took('back after', again, 20_000)}"


@case
def a_session_resumed_while_its_device_is_away_goes_on_when_it_is_back(gw):
    adapter, client = gw.adapters["ftdi"], gw.control("ftdi")
    client.open(role="writer")
    mark = client.mark()
    adapter.pull()
    client.wait("status", lambda message: message["state"] == "down", mark)
    client.cut()
    client = gw.resume(client)
    mark, plugged = client.mark(), adapter.mark()
    adapter.plug()
    client.wait("status", lambda message: message["state"] == "up", mark)
    client.write(b"hello")
    assert adapter.wait_received(5, plugged) == b"hello"
    adapter.send(b"answer")
    assert client.read(6, mark) == b"answer"


@case
def an_adapter_that_udev_has_not_given_its_rights_yet_is_waited_for(gw):
    adapter, rules = gw.adapters["ftdi"], "/etc/udev/rules.d/10-slow.rules"
    rule = 'SUBSYSTEM=="tty", KERNEL=="ttyUSB*", PROGRAM="/bin/sleep 1"'
    gw.guest.run(f"echo '{rule}' > {rules} && udevadm control --reload")
    gw.stop()
    gw.start("User=nobody", "SupplementaryGroups=dialout")
    try:
        gw.until_up("ftdi")
        adapter.pull()
        gw.until(lambda: not gw.up("ftdi"), "it is down")
        before = gw.log()
        adapter.plug()
        gw.until_up("ftdi")
        said = gw.log()[len(before):]
        assert "no right" not in said and "denied" not in said.lower(), said
    finally:
        gw.guest.run(f"rm {rules}; udevadm control --reload")
        gw.stop()
        gw.start()
        gw.until_up(*gw.endpoints)
