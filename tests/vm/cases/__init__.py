"""What is shown, a sentence each. A case gets the gateway, and may return what it measured."""
import collections

Case = collections.namedtuple("Case", "name body")
ALL = []

# esptool's reset into the loader: EN low for 100 ms with IO0 high, then IO0 low as EN rises, for 50 ms.
TO_LOADER = [{"dtr": False, "rts": True, "wait_ms": 100}, {"dtr": True, "rts": False, "wait_ms": 50}, {"dtr": False}]

ENDPOINTS = {
    "uart": {"serial": {"port": "/dev/ttyS1", "baud": 115200}},
    "ftdi": {"serial": {"port": {"usb": "0403:6001", "serial": "A1"}, "baud": 115200,
                        "macros": {"to-loader": TO_LOADER}}},
    "other": {"serial": {"port": {"usb": "0403:6001", "serial": "B2"}, "baud": 115200}},
    "ch341": {"serial": {"port": {"usb": "1a86:7523"}, "baud": 115200}},
    "acm": {"serial": {"port": {"usb": "2e8a:000a"}, "baud": 115200, "macros": {"to-loader": TO_LOADER}}},
}
ADAPTERS = {"ftdi": ("ftdi", "A1"), "other": ("ftdi", "B2"), "acm": ("acm", "C3"), "ch341": ("ch341", "D4")}
USB = ["ftdi", "other", "acm"]      # those that every case about USB adapters runs with


class Skipped(Exception):
    """The guest has not what the case needs; why."""


def case(body):
    """A case, named by its function: a sentence."""
    ALL.append(Case(body.__name__.replace("_", " "), body))
    return body


def for_each(*values):
    """A case for each value, which stands in its name."""
    def add(body):
        for value in values:
            ALL.append(Case(f"{value}: {body.__name__.replace('_', ' ')}", lambda gw, value=value: body(gw, value)))
        return body
    return add


def set_up(gw, first):
    """The daemon runs before there is any adapter; the suite's first case plugs them in."""
    gw.endpoints = {name: {"share": "one-writer", **members} for name, members in ENDPOINTS.items()}
    gw.start()
    for name, (kind, serial) in ADAPTERS.items():
        gw.adapter(name, kind, serial)
    if not first:
        for adapter in gw.adapters.values():
            adapter.plug()
        gw.until_up(*gw.endpoints)


def took(label, ms, bound=None):
    """A measured figure, held against a generous bound."""
    if bound is not None and ms > bound:
        raise AssertionError(f"{label}: {ms:.0f} ms, more than {bound} ms")
    return f"{label} {ms:.0f} ms"
