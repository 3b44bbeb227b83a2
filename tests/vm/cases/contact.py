"""The key switch as a contact at a GPIO chip, for the shipped unit and its account. The chip is the kernel's simulated one."""
import contextlib, os

import far, gateway, ws
from cases import Skipped, case, took

RULES = os.path.join(gateway.PACKAGING, "udev", "60-wsbridge-gpio.rules")
CHIP = "/sys/kernel/config/gpio-sim/cabinet"
TO_GROUND, TO_SUPPLY = "pull-down", "pull-up"


class Cabinet:
    """A chip of four lines, and a contact at line 3. FT232R adapters have chips too, so its number depends on those."""

    def __init__(self, gw):
        self.gw = gw
        if gw.guest.run("modprobe gpio-sim 2>&1; echo $?").split()[-1:] != ["0"]:
            raise Skipped(gw.guest.run("cat /usr/lib/gpio-sim.reason", check=False).strip() or "the guest has no gpio-sim")
        gw.guest.run(f"mkdir -p {CHIP}/bank0 && echo 4 > {CHIP}/bank0/num_lines")
        self.plug()
        self.pull()

    def plug(self):
        """It comes, with a number that the kernel chooses: that of a chip which went while its line was in use is not free again."""
        device, self.name = self.gw.guest.run(f"echo 1 > {CHIP}/live && cat {CHIP}/dev_name {CHIP}/bank0/chip_name").split()
        self.line = f"/sys/devices/platform/{device}/{self.name}/sim_gpio3/pull"

    def pull(self):
        self.gw.guest.run(f"echo 0 > {CHIP}/live")

    def turn(self, level):
        self.gw.guest.run(f"echo {level} > {self.line}")

    def level(self):
        return self.gw.guest.run(f"cat {self.line}").strip()

    def end(self):
        self.gw.guest.run(f"echo 0 > {CHIP}/live; rmdir {CHIP}/bank0 {CHIP}; rm -f /usr/lib/udev/rules.d/60-wsbridge-gpio.rules; "
                          "udevadm control --reload", check=False)


@contextlib.contextmanager
def cabinet(gw):
    made = Cabinet(gw)
    try:
        yield made
    finally:
        made.end()


def config(gw, chip, **more):
    return {**gw.config(), "switch": {"gpio": {"chip": chip.name, "line": 3, **more.pop("gpio", {})}, **more}}


def stands(gw, on):
    status, text = ws.http(gw.guest.port, "/metrics", gateway.TOKENS["anna"])
    return status == 200 and f"\nwsbridge_switch_on {int(on)}\n" in text


def wait_on(gw, on):
    gw.until(lambda: stands(gw, on), f"the switch is {'on' if on else 'off'}")


def turn_on(gw, chip, level):
    """Turns the contact and waits; while the line is still being asked for, its pull undoes that here, where no wire holds it."""
    gw.until(lambda: chip.turn(level) or stands(gw, True), "the switch is on")


def wait_why(gw, why):
    """Waits for a word of this start of the unit."""
    log = "journalctl --no-pager -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID wsbridge)"
    gw.until(lambda: why in gw.guest.run(log), f"`{why}` is told")


def give_to_group(gw, chip):
    gw.guest.gwvm("push", RULES, "/usr/lib/udev/rules.d")
    gw.guest.run("udevadm control --reload && udevadm trigger --subsystem-match=gpio && udevadm settle")
    shown = gw.guest.run(f"stat -c '%G %a' /dev/{chip.name}").strip()
    assert shown == "wsbridge 660", shown


def rights(client, since, count):
    """What a session may do, as it is told when that changes."""
    return client.wait_entry("rights", lambda message: len(message["rights"]) == count, since)


@case
def a_contact_locks_and_unlocks_the_units_sessions_at_both_edges_and_survives_its_chip(gw):
    said = []
    with cabinet(gw) as chip, gw.unit(config(gw, chip)):
        gw.guest.run("systemctl start wsbridge.service")
        gw.until(lambda: gw.status() == 200, "it serves without the chip")
        wait_on(gw, False)
        wait_why(gw, "cannot be read: No such file")
        pid = gw.guest.run("systemctl show -P MainPID wsbridge").strip()
        # The chip comes, root's alone at first; then the package's rule is there. Nothing is at the line.
        chip.plug()
        wait_why(gw, "cannot be read: Permission denied")
        give_to_group(gw, chip)
        wait_why(gw, f"line 3 of {chip.name} is not active")
        assert chip.level() == TO_SUPPLY, "the open contact is pulled to off"
        gw.until_up("uart")
        uart, client = far.Uart(gw.guest.path("ttyS1.sock")), gw.control("uart")
        try:
            client.open(role="auto")
            assert rights(client, 0, 1)[1]["rights"] == ["read"]
            for turn in range(3):
                since, at = client.mark(), far.now()
                chip.turn(TO_GROUND)
                said.append(took("on", rights(client, since, 5)[0] - at, 10_000))
                client.ask("lease", op="request")
                client.write(b"%d" % turn)
                assert uart.receive(1) == b"%d" % turn
                since, at = client.mark(), far.now()
                chip.turn(TO_SUPPLY)
                said.append(took("off", rights(client, since, 1)[0] - at, 10_000))
                client.write(b"locked")
                client.wait("error", lambda message: message["code"] == "not_writer", since)
                uart.send(b"heard")
                assert client.read(5, since) == b"heard"
            # The chip goes while the line is followed, and comes back.
            chip.turn(TO_GROUND)
            wait_on(gw, True)
            chip.pull()
            wait_on(gw, False)
            chip.plug()
            give_to_group(gw, chip)
            gw.write(config(gw, chip))
            gw.guest.run("systemctl reload wsbridge")
            gw.until(lambda: chip.level() == TO_SUPPLY, "the line is asked for again")
            turn_on(gw, chip, TO_GROUND)
            client.ask("lease", op="request")
            client.write(b"again")
            assert uart.receive(5) == b"again"
        finally:
            uart.end()
        shown = gw.guest.run("systemctl show -P MainPID -P NRestarts wsbridge").split()
        assert shown == [pid, "0"], (pid, shown)
        gw.tidy()
    return ", ".join(said)


@case
def a_contact_that_does_not_rest_is_off_and_the_other_wirings_pull_to_off_too(gw):
    with cabinet(gw) as chip, gw.unit(config(gw, chip)):
        chip.plug()
        give_to_group(gw, chip)
        gw.guest.run("systemctl start wsbridge.service")
        gw.until(lambda: gw.status() == 200, "it serves")
        turn_on(gw, chip, TO_GROUND)
        # Hum on a broken wire: edges without end.
        hum = f"while :; do echo {TO_SUPPLY} > {chip.line}; echo {TO_GROUND} > {chip.line}; done"
        gw.guest.run(f"systemd-run --quiet --unit=hum --collect sh -c '{hum}'")
        wait_why(gw, "it does not rest")
        wait_on(gw, False)
        gw.guest.run("systemctl stop hum")
        turn_on(gw, chip, TO_GROUND)

        def reload(**more):
            gw.write(config(gw, chip, **more))
            gw.guest.run("systemctl reload wsbridge")

        reload(gpio={"active": "high"})
        gw.until(lambda: chip.level() == TO_GROUND, "the open contact is pulled down")
        wait_on(gw, False)
        turn_on(gw, chip, TO_SUPPLY)
        # The contact that locks needs its word; with it, open is on.
        gw.write(config(gw, chip, mode="disables"))
        refused = gw.guest.run("wsbridge check 2>&1; echo $?")
        assert refused.split()[-1] == "78" and "i_know: true" in refused, refused
        before = gw.metric("wsbridge_reloads_total", result="invalid")
        gw.guest.run("systemctl reload wsbridge; true")
        gw.until(lambda: gw.metric("wsbridge_reloads_total", result="invalid") > before, "the reload is refused")
        wait_on(gw, True)
        reload(mode="disables", i_know=True)
        gw.until(lambda: chip.level() == TO_SUPPLY, "the open contact is pulled up")
        wait_on(gw, True)
        gw.until(lambda: chip.turn(TO_GROUND) or stands(gw, False), "the closed contact locks")
        chip.turn(TO_SUPPLY)
        wait_on(gw, True)
        chip.pull()
        wait_on(gw, False)


@case
def the_unit_reads_a_contact_by_the_device_class_that_it_names_and_not_without(gw):
    with cabinet(gw) as chip, gw.unit(config(gw, chip)):
        chip.plug()
        give_to_group(gw, chip)
        unit = "/etc/systemd/system/wsbridge.service"
        gw.guest.run(f"cp {unit} /run/unit && sed -i /char-gpiochip/d {unit} && systemctl daemon-reload && systemctl start wsbridge.service")
        gw.until(lambda: gw.status() == 200, "it serves")
        wait_on(gw, False)
        wait_why(gw, "cannot be read: Operation not permitted")
        gw.guest.run(f"mv /run/unit {unit} && systemctl daemon-reload && systemctl restart wsbridge.service")
        gw.until(lambda: gw.status() == 200, "it serves again")
        turn_on(gw, chip, TO_GROUND)
