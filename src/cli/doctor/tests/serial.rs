//! Ports of a made-up machine, each wrong in one way.

use std::{
    fs::File,
    process::{Command, Stdio},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::*;

const NODE: &str = "sys/devices/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0/dev";

/// One FTDI adapter, ours to open.
fn plugged() -> Place {
    let place = Place::new();
    place.tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
    place.mode("dev/ttyUSB0", 0o660);
    place
}

fn serial(port: &str) -> String {
    format!("{PLAIN}endpoints: {{ modem1: {{ serial: {{ port: {port} }} }} }}")
}

const BY_USB: &str = "{ usb: 0403:6001, serial: A1 }";

#[test]
fn a_port_that_is_ours_is_well() {
    plugged().find(&serial(BY_USB)).well();
}

#[test]
fn a_login_prompt_is_found_with_the_command_that_ends_it() {
    let place = Place::new();
    place.tree.tty("ttyS1", "sys/devices/serial1", "serial8250", 4);
    place.mode("dev/ttyS1", 0o660);
    let config = serial(&format!("{{ path: {} }}", place.path("dev/ttyS1").display()));
    place.find(&config).well();
    fs::create_dir_all(place.path("run/systemd/units")).unwrap();
    symlink("1", place.path("run/systemd/units/invocation:serial-getty@ttyS1.service")).unwrap();
    place.find(&config).wrong(
        Id::PortConsole,
        &[
            "endpoints.modem1",
            "login prompt",
            "sudo systemctl disable --now serial-getty@ttyS1",
            "raspi-config",
        ],
    );
    place.find(&config.replace("port:", "allow_console: true, port:")).none(Id::PortConsole);
    place.write("sys/class/tty/console/active", "ttyS1\n");
    place.find(&config).wrong(Id::PortConsole, &["console=ttyS1", "kernel's command line"]);
    // Whoever cannot read the configuration does not know that somebody wants it.
    place.find("endpoints: [").none(Id::PortConsole);
}

#[test]
fn rights_are_those_of_the_services_user_and_the_fix_names_the_group() {
    let place = plugged();
    place.unit("SupplementaryGroups=");
    let found = place.find(&serial(BY_USB));
    found.wrong(
        Id::PortRights,
        &["wsbridge may not open", "0660", "sudo adduser wsbridge dialout", "restart wsbridge"],
    );
    place.unit("SupplementaryGroups=\nUser=\nDynamicUser=yes");
    place.find(&serial(BY_USB)).wrong(Id::PortRights, &["SupplementaryGroups=dialout"]);
    place.unit("");
    place.find(&serial(BY_USB)).none(Id::PortRights);
    place.mode("dev/ttyUSB0", 0o600);
    let found = place.find(&serial(BY_USB));
    found.wrong(Id::PortRights, &["rules.d", "KERNEL==\"ttyUSB*\"", "MODE=\"0660\""]);
    // A daemon that was started before its user was in the group.
    place.mode("dev/ttyUSB0", 0o660);
    place.runs("");
    place.find(&serial(BY_USB)).wrong(Id::PortRights, &["restart"]);
}

/// What a machine with ttyUSB loaded says: several names for one number, and some of them are
/// paths.
const DEVICES: &str = "Character devices:\n  4 /dev/vc/0\n  4 tty\n  4 ttyS\n  5 /dev/tty\n136 pts\n188 ttyUSB\n204 ttyAMA\n\nBlock devices:\n  8 sd\n";

#[test]
fn the_packages_own_sandbox_lets_usb_adapters_and_uarts_through() {
    let place = plugged();
    place.write("proc/devices", DEVICES);
    place.write(NODE, "188:0\n");
    place.find(&serial(BY_USB)).well();
    // Before the module is loaded its number has no name.
    place.write("proc/devices", "Character devices:\n  4 /dev/vc/0\n  4 tty\n  4 ttyS\n");
    place.find(&serial(BY_USB)).well();
    for (name, number) in [("ttyS1", "4:65"), ("ttyAMA0", "204:64")] {
        place.write("proc/devices", DEVICES);
        place.tree.tty(name, &format!("sys/devices/{name}"), "serial8250", 4);
        place.write(&format!("sys/devices/{name}/tty/{name}/dev"), number);
        place.mode(&format!("dev/{name}"), 0o660);
        let path = place.path(&format!("dev/{name}"));
        place.find(&serial(&format!("{{ path: {} }}", path.display()))).well();
    }
}

#[test]
fn the_sandbox_must_know_the_class_of_the_device() {
    let place = plugged();
    place.write("proc/devices", DEVICES);
    place.write(NODE, "188:0\n");
    let config = serial(BY_USB);
    for allowed in ["char-ttyUSB rw", "char-188", "char-tty* rw", "char-tty??? rwm", "char-* rw"] {
        place.unit(&format!("DeviceAllow=\nDeviceAllow={allowed}"));
        place.find(&config).none(Id::PortDevicePolicy);
    }
    for allowed in ["char-ttyS rw", "char-188 r", "char-18 rw", "block-188 rw", "/dev/null rw"] {
        place.unit(&format!("DeviceAllow=\nDeviceAllow={allowed}"));
        let found = place.find(&config);
        found.wrong(
            Id::PortDevicePolicy,
            &["ttyUSB", "DeviceAllow=char-188 rw", "systemctl edit wsbridge"],
        );
    }
    place.unit("DevicePolicy=auto\nDeviceAllow=");
    place.find(&config).none(Id::PortDevicePolicy);
    place.unit("PrivateDevices=yes");
    place.find(&config).wrong(Id::PortDevicePolicy, &["PrivateDevices=no"]);
}

#[test]
fn ptys_are_open_in_a_closed_sandbox_and_not_in_a_strict_one() {
    let place = Place::new();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    place.write("proc/devices", DEVICES);
    let config = serial(&format!("{{ path: {path} }}"));
    place.unit("DeviceAllow=\nDeviceAllow=char-ttyUSB rw");
    place.find(&config).none(Id::PortDevicePolicy);
    place.unit("DevicePolicy=strict\nDeviceAllow=\nDeviceAllow=char-ttyUSB rw");
    place.find(&config).wrong(Id::PortDevicePolicy, &["pts", "DeviceAllow=char-136 rw"]);
}

#[test]
fn the_program_that_has_the_port_is_named() {
    let place = plugged();
    let device = File::open(place.path("dev/ttyUSB0")).unwrap();
    let mut other = Command::new("sleep").arg("60").stdin(Stdio::from(device)).spawn().unwrap();
    let found = place.find(&serial(BY_USB));
    let pid = other.id();
    other.kill().unwrap();
    other.wait().unwrap();
    found.wrong(
        Id::PortInUse,
        &["in use by ", &format!("(pid {pid})"), &format!("sudo kill {pid}")],
    );
    place.find(&serial(BY_USB)).none(Id::PortInUse);
}

#[test]
fn a_port_that_is_not_there_is_told_with_what_is() {
    let place = plugged();
    let found = place.find(&serial("{ usb: 10c4:ea60 }"));
    found.wrong(Id::PortMissing, &["10c4:ea60", "plugged in: ", "wsbridge ports", "dmesg"]);
}

#[test]
fn an_adapter_without_its_port_was_taken_or_has_no_driver() {
    let place = Place::new();
    let config = serial("{ usb: 10c4:ea60 }");
    place.write("sys/bus/usb/devices/1-2/idVendor", "10c4\n");
    place.write("sys/bus/usb/devices/1-2/idProduct", "ea60\n");
    place.find(&config).wrong(Id::PortUnbound, &["no driver took it", "modprobe"]);
    place.write("proc/99/comm", "brltty\n");
    place.find(&config).wrong(Id::Brltty, &["brltty took it", "udev/rules.d", "apt purge brltty"]);
    // It has a port, but not the one that was asked for.
    place.write("sys/bus/usb/devices/1-2/1-2:1.0/bInterfaceNumber", "00\n");
    place.write("sys/bus/usb/devices/1-2/1-2:1.0/ttyUSB4/x", "");
    place.find(&config).wrong(Id::PortMissing, &[]);
}

#[test]
fn two_adapters_that_say_the_same_are_told_apart_by_their_sockets() {
    let place = plugged();
    place.tree.usb("ttyUSB1", "1-2", ("0403:6001", "A1", 0));
    place.mode("dev/ttyUSB1", 0o660);
    let sockets = ["by-path/pci-usb-1-1:1.0-port0", "by-path/pci-usb-1-2:1.0-port0"];
    place.find(&serial(BY_USB)).wrong(Id::PortAmbiguous, &sockets);
}

#[test]
fn an_adapter_without_a_serial_number_is_named_by_its_socket() {
    let place = Place::new();
    place.tree.usb("ttyUSB0", "1-1", ("1a86:7523", "", 0));
    place.mode("dev/ttyUSB0", 0o660);
    let found = place.find(&serial("{ usb: 1a86:7523 }"));
    found.hint(Id::UsbNoSerial, &["no serial number", "by-path/pci-usb-1-1:1.0-port0"]);
}

#[test]
fn a_speed_that_the_chip_cannot_do_is_told() {
    let place = plugged();
    let at = |baud: u32| serial(&format!("{BY_USB}, baud: {baud}"));
    place.find(&at(110)).wrong(Id::PortSpeed, &["cannot do 110 baud", "183"]);
    place.find(&at(300)).well();
}

#[test]
fn a_name_the_kernel_counts_out_is_replaced_by_an_identity() {
    let place = plugged();
    let path = place.path("dev/ttyUSB0");
    let found = place.find(&serial(&format!("{{ path: {} }}", path.display())));
    found.hint(Id::PortUnstable, &["port: { usb: \"0403:6001\", serial: \"A1\" }"]);
}

#[test]
fn the_latency_timer_matters_where_low_latency_is_off() {
    let place = plugged();
    place.write("sys/devices/usb1/1-1/1-1:1.0/ttyUSB0/latency_timer", "16\n");
    let slow = serial(BY_USB).replace("port:", "low_latency: false, port:");
    let found = place.find(&slow);
    found.hint(Id::UsbLatency, &["16 ms", "low_latency: true", "ATTR{latency_timer}=\"1\""]);
    place.find(&serial(BY_USB)).none(Id::UsbLatency);
    place.write("sys/devices/usb1/1-1/1-1:1.0/ttyUSB0/latency_timer", "1\n");
    place.find(&slow).none(Id::UsbLatency);
}

#[test]
fn autosuspend_is_told_with_the_file_and_the_rule() {
    let place = plugged();
    place.write("sys/devices/usb1/1-1/power/control", "auto\n");
    let found = place.find(&serial(BY_USB));
    found.hint(Id::UsbAutosuspend, &["1-1/power/control", "ATTR{idVendor}==\"0403\"", "=\"on\""]);
    place.write("sys/devices/usb1/1-1/power/control", "on\n");
    place.find(&serial(BY_USB)).well();
}

#[test]
fn modem_manager_is_wrong_only_where_it_runs_and_is_not_kept_away() {
    let place = plugged();
    place.write(NODE, "188:0\n");
    fs::create_dir_all(place.path("run/systemd/units")).unwrap();
    symlink("1", place.path("run/systemd/units/invocation:ModemManager.service")).unwrap();
    let found = place.find(&serial(BY_USB));
    found.wrong(
        Id::ModemManager,
        &["AT commands", "udevadm control --reload", "disable --now ModemManager"],
    );
    place.write("run/udev/data/c188:0", "S:serial/by-id/x\nE:ID_MM_PORT_IGNORE=1\n");
    place.find(&serial(BY_USB)).well();
}

#[test]
fn brlttys_claim_is_found_in_udevs_record() {
    let place = plugged();
    place.write("sys/devices/usb1/1-1/dev", "189:3\n");
    place.write("run/udev/data/c189:3", "E:BRLTTY_BRAILLE_DRIVER=\n");
    place.find(&serial(BY_USB)).none(Id::Brltty);
    place.write("run/udev/data/c189:3", "E:BRLTTY_BRAILLE_DRIVER=ba\n");
    place.find(&serial(BY_USB)).wrong(Id::Brltty, &["Braille", "apt purge brltty"]);
}

#[test]
fn missing_rules_are_told_where_udev_runs() {
    let place = plugged();
    fs::remove_file(place.path("etc/udev/rules.d/60-wsbridge.rules")).unwrap();
    place
        .find(&serial(BY_USB))
        .hint(Id::UdevRules, &["60-wsbridge.rules not installed", "sudo cp"]);
    place.write("usr/lib/udev/rules.d/60-wsbridge.rules", "");
    place.find(&serial(BY_USB)).none(Id::UdevRules);
}

#[test]
fn without_a_configuration_every_port_is_looked_at() {
    let place = plugged();
    place.unit("SupplementaryGroups=");
    let found = place.find("endpoints: [");
    found.wrong(Id::Config, &["wsbridge.yaml"]);
    found.wrong(Id::PortRights, &["dev/ttyUSB0"]);
}
