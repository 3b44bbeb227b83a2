"""The shipped unit, as a boot finds it: what is not there yet comes later."""
import far, ws
from cases import case, took

ADDRESS = "192.0.2.9"


@case
def an_address_25_s_late_ends_nothing_and_is_listened_on_when_it_comes(gw):
    config = gw.config()
    config["listen"].append({"address": f"{ADDRESS}:8443", "tls": "self-signed"})
    with gw.unit(config):
        try:
            gw.guest.run("systemctl start wsbridge.service")
            began = far.now()
            gw.until(lambda: gw.status() == 200, "the other address serves")
            pid = gw.guest.run("systemctl show -P MainPID wsbridge")
            gw.guest.run("sleep 25")
            assert far.now() - began >= 25_000
            log = gw.log()
            assert log.count(f"{ADDRESS}:8443: this machine has no such address") == 1, log[-2000:]
            gw.guest.run(f"ip address add {ADDRESS}/32 dev lo")
            at = far.now()
            gw.until(lambda: f"listening on {ADDRESS}:8443" in gw.log(), "it is listened on")
            said = took("listened on after", far.now() - at, 50_000)
            gw.guest.run(f"bash -c ': < /dev/tcp/{ADDRESS}/8443'")
            shown = gw.guest.run("systemctl show -P MainPID -P NRestarts wsbridge").split()
            assert shown == [pid.strip(), "0"], (pid, shown)
            assert ws.http(gw.guest.port, "/healthz")[0] == 200
        finally:
            gw.guest.run(f"ip address del {ADDRESS}/32 dev lo", check=False)
    return said


@case
def commands_reach_the_units_gateway_by_its_group_and_start_no_stopped_one(gw):
    with gw.unit(gw.config()):
        gw.guest.run("systemctl start wsbridge.service")
        gw.until(lambda: gw.status() == 200, "it serves")
        owner = gw.guest.run("stat -c '%U %G %a' /run/wsbridge-admin/admin.sock").strip()
        assert owner == "root wsbridge-admin 660", owner
        code = lambda before, after="": gw.guest.run(f"{before} wsbridge sessions{after} > /dev/null 2>&1; echo $?").strip()
        nobody = "setpriv --reuid=65534 --regid=65534"
        assert code("") == "0"
        assert code(f"{nobody} --clear-groups") == "77"
        assert code(f"{nobody} --groups=$(getent group wsbridge-admin | cut -d: -f3)") == "0"
        gw.guest.run("systemctl restart wsbridge.service")
        gw.until(lambda: gw.status() == 200, "it serves again")
        assert code("") == "0"
        gw.guest.run("systemctl stop wsbridge.service")
        assert code("") == "69"
        assert gw.guest.run("systemctl is-active wsbridge.service wsbridge-admin.socket; true").split() == ["inactive"] * 2
