"""wsbridge doctor on a machine with real ports: what it finds is so, and what it says to type helps."""
import json

from cases import USB, case

CONFIG = "/etc/wsbridge/wsbridge.yaml"


def look(gw):
    """Its findings, by (id, place)."""
    told = gw.guest.run(f"wsbridge doctor --json {CONFIG}", check=False)
    findings = json.loads(told)["findings"]
    return {(finding["id"], finding["place"]): finding for finding in findings}


def typed(gw, finding, word):
    """Types the line of a finding's fix that has this word, as root, up to its explanation in brackets."""
    (line,) = [line for line in finding["fix"] if word in line]
    gw.guest.run(line.removeprefix("sudo ").split(" (")[0])


@case
def doctor_finds_every_port_of_a_running_gateway_well(gw):
    found = look(gw)
    for name in [*USB, "uart"]:
        assert found[("port", f"endpoints.{name}")]["level"] == "ok", found
    wrong = [finding for finding in found.values() if finding["level"] == "wrong"]
    assert not wrong, wrong


@case
def doctor_names_a_login_prompt_and_what_it_says_to_type_ends_it(gw):
    gw.stop()
    try:
        gw.guest.run("systemctl start serial-getty@ttyS1")
        finding = look(gw)[("port-console", "endpoints.uart")]
        assert finding["level"] == "wrong" and "/dev/ttyS1 has a login prompt" in finding["what"], finding
        typed(gw, finding, "serial-getty@ttyS1")
        assert look(gw)[("port", "endpoints.uart")]["level"] == "ok"
    finally:
        gw.guest.run("systemctl stop serial-getty@ttyS1", check=False)
        # A login prompt takes its device for itself (`tty`, 620) and leaves it so.
        gw.guest.run("chgrp dialout /dev/ttyS1 && chmod 660 /dev/ttyS1")
        gw.start()
        gw.until_up("uart", *USB)


@case
def doctor_names_another_program_on_the_port(gw):
    gw.stop()
    try:
        # In the background, so that the port is not its controlling terminal, which would be another finding.
        gw.guest.run("systemd-run --quiet --collect --unit=holder sh -c 'sleep 600 < /dev/ttyS1 & wait'")
        gw.until(lambda: ("port-in-use", "endpoints.uart") in look(gw), "the holder is found")
        finding = look(gw)[("port-in-use", "endpoints.uart")]
        pid = gw.guest.run("pidof sleep").strip()
        assert finding["level"] == "wrong" and f"sleep (pid {pid})" in finding["what"], finding
        typed(gw, finding, f"kill {pid}")
        gw.until(lambda: ("port", "endpoints.uart") in look(gw), "the port is free")
    finally:
        gw.guest.run("systemctl stop holder", check=False)
        gw.start()
        gw.until_up("uart", *USB)


@case
def doctor_says_that_an_adapter_is_not_plugged_in(gw):
    adapter = gw.adapters["acm"]
    adapter.pull()
    try:
        gw.until(lambda: not gw.up("acm"), "acm is down")
        finding = look(gw)[("port-missing", "endpoints.acm")]
        assert finding["level"] == "wrong", finding
    finally:
        adapter.plug()
        gw.until_up("acm")


def plug_anew(gw, name):
    gw.adapters[name].pull()
    gw.until(lambda: not gw.up(name), f"{name} is down")
    gw.adapters[name].plug()
    gw.until_up(name)


@case
def doctor_sees_the_latency_of_an_ftdi_adapter_and_its_udev_rule_ends_it(gw):
    file = "/etc/udev/rules.d/61-latency.rules"
    with gw.changed("ftdi", serial={"low_latency": False}):
        plug_anew(gw, "ftdi")
        finding = look(gw)[("usb-latency", "endpoints.ftdi")]
        assert finding["level"] == "hint" and "16 ms" in finding["what"], finding
        (rule,) = [line for line in finding["fix"] if line.startswith("SUBSYSTEM")]
        gw.guest.run(f"cat > {file} && udevadm control --reload", input=rule + "\n")
        try:
            plug_anew(gw, "ftdi")
            gw.until(lambda: ("usb-latency", "endpoints.ftdi") not in look(gw), "the rule has worked")
        finally:
            gw.guest.run(f"rm {file} && udevadm control --reload")
    plug_anew(gw, "ftdi")
    # As delivered the daemon asks the driver itself.
    assert ("usb-latency", "endpoints.ftdi") not in look(gw)
