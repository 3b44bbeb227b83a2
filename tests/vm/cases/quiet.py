"""DTR and RTS do not move unless somebody says so."""
from cases import USB, case, for_each


def echo(adapter, client, data):
    """A byte through the line: whatever was done to it before is seen at the far end by now."""
    since = adapter.mark()
    client.write(data)
    assert adapter.wait_received(len(data), since) == data


def assert_still(adapter, since):
    moved = adapter.seen("lines", since)
    assert not moved, f"{adapter.name}: DTR or RTS moved: {moved}"


@for_each(*USB)
def no_modem_line_moves_at_connect_disconnect_reconnect_and_loss_of_the_connection(gw, name):
    adapter = gw.adapters[name]
    since = adapter.mark()
    for number in range(3):
        client = gw.plain(name)
        echo(adapter, client, b"%d" % number)
        client.close() if number % 2 else client.cut()
        gw.until_free(name)
    echo(adapter, gw.plain(name), b"last")
    assert_still(adapter, since)
    assert adapter.state()["lines"] == {"dtr": True, "rts": True}, "as the kernel's open left them"


@for_each(*USB)
def no_modem_line_moves_at_a_reload_not_even_at_one_that_sets_another_speed(gw, name):
    adapter, client = gw.adapters[name], gw.plain(name)
    since = adapter.mark()
    with gw.changed(name, title="Another title"):
        echo(adapter, client, b"title")
    with gw.changed(name, serial={"baud": 9600}):
        adapter.wait(lambda event: 9590 < event.get("baud", 0) < 9610, since)
        echo(adapter, client, b"speed")
    adapter.wait(lambda event: event.get("baud", 0) > 115_000, since)
    echo(adapter, client, b"back")
    assert_still(adapter, since)


@for_each(*USB)
def no_modem_line_moves_when_the_daemon_stops_and_starts_again(gw, name):
    adapter = gw.adapters[name]
    since = adapter.mark()
    gw.stop()
    gw.start()
    gw.until_up(name)
    echo(adapter, gw.plain(name), b"again")
    assert_still(adapter, since)


@for_each("ftdi", "acm")
def no_modem_line_moves_when_a_device_that_is_opened_on_demand_is_closed_and_opened_again(gw, name):
    adapter = gw.adapters[name]
    with gw.changed(name, open="on-demand"):
        # Which adapter it is shows before anybody opens it: a page chooses by that.
        gw.until(lambda: gw.control(name).hello["endpoint"].get("usb"), f"{name} has its USB numbers")
        gw.tidy()
        assert gw.state(name) == "closed", gw.state(name)
        echo(adapter, gw.plain(name), b"open")
        since = adapter.mark()
        gw.tidy()
        gw.until(lambda: gw.state(name) == "closed", f"{name} is closed")
        echo(adapter, gw.plain(name), b"open again")
        gw.tidy()
        assert_still(adapter, since)
    gw.until_up(name)


@case
def on_open_and_on_last_close_move_the_lines_as_configured_and_only_then(gw):
    adapter = gw.adapters["other"]
    since = adapter.mark()
    policy = {"on_open": {"dtr": True, "rts": False}, "on_last_close": {"dtr": False, "rts": True}}
    with gw.changed("other", serial={"signals": policy}):
        adapter.pull()
        since = adapter.mark()
        adapter.plug()
        gw.until_up("other")
        client = gw.plain("other")
        echo(adapter, client, b"open")
        opened = [event["lines"] for event in adapter.seen("lines", since)]
        assert opened[-1] == {"dtr": True, "rts": False}, opened
        since = adapter.mark()
        client.close()
        moved = adapter.wait(lambda event: "lines" in event, since)
        assert moved["lines"] == {"dtr": False, "rts": True}, moved
        client = gw.plain("other")
        echo(adapter, client, b"again")
        assert len(adapter.seen("lines", since)) == 1, "a session that comes moves nothing"
        # Whoever leaves while the device is away leaves it so as well.
        client = gw.control("other")
        client.open(role="observer")
        adapter.pull()
        client.wait("status", lambda told: told["state"] == "down")
        gw.tidy()
        gw.until_free("other")
        since = adapter.mark()
        adapter.plug()
        gw.until_up("other")
        adapter.wait(lambda event: event.get("lines") == {"dtr": False, "rts": True}, since)
    adapter.again()
    gw.until_up("other")


@for_each("ftdi", "acm")
def no_modem_line_moves_at_open_close_takeover_loss_and_resume_in_control_mode(gw, name):
    adapter = gw.adapters[name]
    anna = gw.control(name)
    anna.open(role="writer")
    echo(adapter, anna, b"anna")
    since = adapter.mark()
    bob = gw.control(name, user="bob")
    bob.open(role="observer")
    bob.ask("lease", op="take")
    echo(adapter, bob, b"bob")
    bob.cut()
    bob = gw.resume(bob)
    echo(adapter, bob, b"bob again")
    with gw.changed(name, title="Another title"):
        echo(adapter, bob, b"reload")
    bob.ask("close")
    anna.ask("lease", op="request")
    echo(adapter, anna, b"anna")
    anna.open(role="writer")
    echo(adapter, anna, b"anna opened again")
    anna.ask("close")
    anna.close()
    echo(adapter, gw.plain(name), b"plain")
    assert_still(adapter, since)
