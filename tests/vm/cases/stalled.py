"""Devices that stall one request: what they cannot do is told, and everything else goes on."""
import ws
from cases import case, for_each

# The requests of each kind's driver: FTDI's reset, modem control, flow control, speed, frame, status, event and error
# characters, latency timer; CDC-ACM's line coding (set, get), control lines and break.
REQUESTS = {"ftdi": [0, 1, 2, 3, 4, 5, 6, 7, 9, 10], "acm": [0x20, 0x21, 0x22, 0x23]}


def done(client, kind, **members):
    """What became of a request: ok or the code of its error."""
    try:
        client.ask(kind, **members)
        return "ok"
    except ws.Failed as failed:
        return failed.code


def again(gw, name, *stalls):
    """Out and in, with these requests stalled from the first on."""
    adapter = gw.adapters[name]
    adapter.pull()
    gw.until(lambda: not gw.up(name), f"{name} is down")
    adapter.stall(*stalls)
    adapter.plug()
    gw.until_up(name)


@for_each("ftdi", "acm")
def a_device_that_stalls_any_one_request_is_open_carries_data_and_says_what_it_cannot(gw, name):
    adapter, said = gw.adapters[name], []
    policy = {"on_open": {"dtr": False, "rts": True}}
    try:
        with gw.changed(name, serial={"signals": policy}):
            for request in REQUESTS[name]:
                again(gw, name, request)
                client = gw.control(name)
                client.open(role="writer")
                mark = client.mark()
                outcomes = {"lines": done(client, "signals", dtr=True, rts=False),
                            "one line": done(client, "signals", rts=True),
                            "break": done(client, "signals", steps=[{"break": True, "ms": 5}, {"break": False}]),
                            "speed": done(client, "config", baud=57600), "drain": done(client, "drain"),
                            "flush": done(client, "flush", rx=True, tx=True), "get": done(client, "get")}
                since = adapter.mark()
                client.write(b"data")
                assert adapter.wait_received(4, since)[-4:] == b"data"
                assert set(outcomes.values()) <= {"ok", "unsupported"}, (request, outcomes)
                told = client.messages("status", mark)
                assert all(status["state"] == "up" for status in told), (request, told)
                cannot = [what for what, outcome in outcomes.items() if outcome != "ok"]
                if "lines" in cannot:
                    client.wait("status", lambda status: "dtr" not in status["caps"])
                if cannot and cannot != ["drain"]:
                    said.append(f"{request}: {', '.join(cannot)}")
                gw.tidy()
    finally:
        again(gw, name)
    return "; ".join(said)


@case
def lines_that_stand_so_already_are_not_moved_when_a_device_is_opened(gw):
    policy = {"on_open": {"dtr": True, "rts": True}}
    try:
        with gw.changed("acm", serial={"signals": policy}):
            refused = "no DTR and RTS to set"
            before = gw.log().count(refused)        # of the case before
            again(gw, "acm", 0x22)
            assert gw.log().count(refused) == before, gw.log()
            # The kernel's own open has asked for them: nothing else is known of them.
            assert gw.control("acm").open(role="writer")["role"] == "writer"
    finally:
        again(gw, "acm")
