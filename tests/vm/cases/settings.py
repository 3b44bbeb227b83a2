"""Speed, frame and flow control are really set, and read back."""
import ws
from cases import case, for_each

FRAMES = [     # baud, format, flow; as the far end sees it
    (9600, "8N1", "none", {"bits": 8, "parity": "N", "stop": 1}),
    (57600, "7E1", "none", {"bits": 7, "parity": "E", "stop": 1}),
    (19200, "8O2", "none", {"bits": 8, "parity": "O", "stop": 2}),
    (250000, "8N1", "rtscts", {"bits": 8, "parity": "N", "stop": 1}),
    (921600, "8M1", "none", {"bits": 8, "parity": "M", "stop": 1}),
    (300, "8S1", "xonxoff", {"bits": 8, "parity": "S", "stop": 1}),
]


def near(baud, asked):
    """A USB chip divides a clock: it comes within 3 % of what was asked (what a UART bears)."""
    return abs(baud - asked) <= asked * 0.03


@for_each("ftdi", "acm")
def speed_frame_and_flow_control_of_the_configuration_are_seen_at_the_far_end(gw, name):
    adapter, seen = gw.adapters[name], []
    with gw.changed(name, title="Frames") as change:
        for baud, frame, flow, wanted in FRAMES:
            change(serial={"baud": baud, "format": frame, "flow": flow})
            client = gw.plain(name)
            since = adapter.mark()
            client.write(b"x")
            adapter.wait_received(1, since)
            state = adapter.state()
            assert near(state["baud"], baud), (baud, state)
            assert {key: state[key] for key in wanted} == wanted, (frame, state)
            if name == "ftdi":         # CDC-ACM has no word for flow control
                assert state["flow"] == flow, (flow, state)
            seen.append(f"{baud} as {state['baud']}")
            client.close()
    return ", ".join(seen)


@case
def a_16550A_that_cannot_do_a_configured_speed_is_told_in_the_log(gw):
    with gw.changed("uart", serial={"baud": 230400}):
        gw.until(lambda: "230400" in gw.log(), "the log names the speed")
        lines = [line for line in gw.log().splitlines() if "230400" in line]
        assert any("9600" in line or "115200" in line for line in lines), lines
    return lines[-1]


@for_each("ftdi", "acm")
def settings_of_a_client_are_seen_at_the_far_end_read_back_and_told_to_the_others(gw, name):
    adapter, client, watcher = gw.adapters[name], gw.control(name), gw.control(name, user="bob")
    before = client.open(role="writer")["config"]
    watcher.open(role="observer")
    words = {"N": "none", "E": "even", "O": "odd", "M": "mark", "S": "space"}
    flows = {"rtscts": "hardware", "xonxoff": "software", "none": "none"}
    for baud, frame, flow, wanted in FRAMES:
        config = {"baud": baud, "data": wanted["bits"], "parity": words[wanted["parity"]], "stop": wanted["stop"],
                  "flow": flows[flow]}
        mark = watcher.mark()
        client.ask("config", **config)
        state = adapter.state()
        assert near(state["baud"], baud) and {key: state[key] for key in wanted} == wanted, (frame, state)
        if name == "ftdi":
            assert state["flow"] == flow, (flow, state)
        assert client.ask("get")["config"] == config
        told = watcher.wait("config", since=mark)
        assert {key: told[key] for key in config} == config and told["by"] == "anna", told
    client.ask("config", **before)


@for_each("ftdi", "acm")
def a_speed_asked_for_behind_data_is_set_when_they_are_sent(gw, name):
    adapter, client = gw.adapters[name], gw.control(name)
    client.open(role="writer", config={"baud": 115200})
    adapter.hold(True)
    since = adapter.mark()
    client.write(b"at the old speed")
    number = client.begin("config", baud=9600)
    client.write(b"at the new speed")
    assert not client.answers, "answered while the bytes before it are not sent"
    state = adapter.state()
    assert near(state["baud"], 115200), state
    adapter.hold(False)
    client.finish(number)
    adapter.wait_received(32, since)
    seen = adapter.order(since, "baud")
    assert seen == [b"at the old speed", 9600, b"at the new speed"], seen
    client.ask("config", baud=115200)


@case
def a_speed_that_a_16550A_cannot_do_is_refused_with_what_the_driver_did_and_nothing_changes(gw):
    client = gw.control("uart")
    before = client.open(role="writer")["config"]
    try:
        client.ask("config", baud=230400)
        raise AssertionError("230400 was taken")
    except ws.Failed as failed:
        assert failed.code == "bad_config", failed
        said = failed.message
    assert client.ask("get")["config"] == before
    # (Behind a pipe: a session leader that opens a tty takes it along when it ends, for all who have it open.)
    assert "speed 115200 baud" in gw.guest.run("stty -F /dev/ttyS1 | cat"), "what the kernel says"
    assert client.ask("config", baud=57600) and client.ask("get")["config"]["baud"] == 57600
    client.ask("config", **before)
    return said
