"""Bytes pass both ways."""
import os

import far
from cases import USB, case, for_each

ALL_VALUES = bytes(range(256)) + bytes(reversed(range(256)))


@for_each(*USB)
def all_256_values_pass_both_ways_through_the_kernels_driver(gw, name):
    adapter, client = gw.adapters[name], gw.plain(name)
    since = adapter.mark()
    client.write(ALL_VALUES)
    assert adapter.wait_received(len(ALL_VALUES), since) == ALL_VALUES
    adapter.send(ALL_VALUES)
    assert client.read(len(ALL_VALUES)) == ALL_VALUES


@case
def all_256_values_pass_both_ways_through_the_16550A(gw):
    uart, client = far.Uart(gw.guest.path("ttyS1.sock")), gw.plain("uart")
    try:
        client.write(ALL_VALUES)
        assert uart.receive(len(ALL_VALUES)) == ALL_VALUES
        uart.send(ALL_VALUES)
        assert client.read(len(ALL_VALUES)) == ALL_VALUES
    finally:
        uart.end()


@for_each("ftdi", "acm")
def a_device_that_takes_nothing_does_not_stop_what_it_sends(gw, name):
    adapter, client = gw.adapters[name], gw.plain(name)
    adapter.hold(True)
    since, up, down = adapter.mark(), os.urandom(50_000), os.urandom(50_000)
    client.write(up)
    adapter.send(down)
    assert client.read(len(down)) == down
    assert not adapter.received(since), "it took something"
    adapter.hold(False)
    assert adapter.wait_received(len(up), since) == up


@for_each(*USB)
def a_hundred_thousand_bytes_pass_both_ways_at_once(gw, name):
    adapter, client = gw.adapters[name], gw.plain(name)
    up, down = os.urandom(100_000), os.urandom(100_000)
    since = adapter.mark()
    for at in range(0, len(up), 10_000):
        client.write(up[at:at + 10_000])
        adapter.send(down[at:at + 10_000])
    assert adapter.wait_received(len(up), since, timeout=60) == up
    assert client.read(len(down), timeout=60) == down
