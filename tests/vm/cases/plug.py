"""The daemon is there before its devices."""
import far, ws
from cases import ADAPTERS, case, took


@case
def a_daemon_started_before_its_devices_says_so_to_clients_and_opens_each_when_it_comes(gw):
    for name in ADAPTERS:
        try:
            gw.plain(name)
            raise AssertionError(f"{name} was opened, and is not there")
        except ws.Refused as refused:
            assert refused.status == 503 and "no port matches USB" in refused.body, refused
    said = []
    for name in ADAPTERS:
        gw.adapters[name].plug()
        at = far.now()
        gw.until(lambda: gw.up(name), f"{name} is up")
        said.append(took(name, far.now() - at, 20_000))
    return "open after " + ", ".join(said)
