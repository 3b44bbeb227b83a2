//! Which serial ports this machine has, and which of them an identity means: from sysfs and the
//! links in /dev/serial.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::super::OpenError;
use crate::{config::PortIdentity, settings::UsbId};

/// Where the kernel and udev publish what they know. Tests use a tree of their own.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    /// sysfs.
    pub sys: PathBuf,
    /// Device files.
    pub dev: PathBuf,
    /// procfs.
    pub proc: PathBuf,
    /// Run-time state of systemd and other services.
    pub run: PathBuf,
    /// UUCP lock files.
    pub locks: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        // OpenWrt has no /run/lock; on Debian, /var/lock is a link to it.
        let locks = ["/run/lock", "/var/lock"].into_iter().find(|path| Path::new(path).is_dir());
        Self {
            sys: "/sys".into(),
            dev: "/dev".into(),
            proc: "/proc".into(),
            run: "/run".into(),
            locks: locks.unwrap_or("/run/lock").into(),
        }
    }
}

/// A serial port on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FoundPort {
    /// The kernel's name: `ttyUSB0`.
    pub name: String,
    /// Its device file.
    pub device: PathBuf,
    /// The link that names the adapter.
    pub by_id: Option<PathBuf>,
    /// The link that names the socket it is plugged into.
    pub by_path: Option<PathBuf>,
    /// Other links, made by udev according to somebody's rule, like /dev/modem1 or a Raspberry Pi's
    /// /dev/serial0.
    pub links: Vec<PathBuf>,
    /// Kernel driver.
    pub driver: Option<String>,
    /// What a USB adapter says about itself.
    pub usb: Option<Usb>,
    /// Whether there is a device behind the name: most PCs have ttyS0 to ttyS3 but no chip for
    /// them.
    pub hardware: bool,
}

/// What a USB adapter says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Usb {
    /// Vendor and product.
    #[serde(serialize_with = "as_text")]
    pub id: UsbId,
    /// Serial number.
    pub serial: Option<String>,
    /// The interface of the adapter that is this port.
    pub interface: Option<u8>,
    /// The manufacturer, in its own words.
    pub manufacturer: Option<String>,
    /// The product, in the manufacturer's words.
    pub product: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_text<S: serde::Serializer>(id: &UsbId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl FoundPort {
    /// Whether this is the USB port that is meant, or one of them.
    pub(crate) fn fits(&self, id: UsbId, serial: Option<&str>, interface: Option<u8>) -> bool {
        self.usb.as_ref().is_some_and(|usb| {
            usb.id == id
                && serial.is_none_or(|serial| usb.serial.as_deref() == Some(serial))
                && (interface.is_none() || usb.interface == interface)
        })
    }
}

impl FoundPort {
    /// The slowest speed of its chip, if that is known: anything below it is set wrongly without a
    /// word. From the drivers `ftdi_sio` (a divisor of 14 bits below 3 MHz) and `cp210x`
    /// (`min_speed`).
    pub(crate) fn slowest(&self) -> Option<u32> {
        match self.driver.as_deref() {
            Some("ftdi_sio") => Some(183),
            Some("cp210x") => Some(300),
            _ => None,
        }
    }
}

/// Every serial port, in human order: ttyS2 before ttyS10.
pub(crate) fn find(roots: &Roots) -> Vec<FoundPort> {
    let class = roots.sys.join("class/tty");
    let mut ports: Vec<FoundPort> =
        names(&class).filter_map(|name| look_at(roots, &class, name)).collect();
    ports.sort_by_key(|port| {
        let stem = port.name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number: u64 =
            port.name.strip_prefix(stem).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        (stem.to_owned(), number)
    });
    ports
}

fn look_at(roots: &Roots, class: &Path, name: String) -> Option<FoundPort> {
    // A virtual terminal has no device behind it.
    let place = class.join(&name).join("device").canonicalize().ok()?;
    let device = roots.dev.join(&name);
    let driver = driver(&place);
    Some(FoundPort {
        by_id: link_to(&roots.dev.join("serial/by-id"), &device),
        by_path: link_to(&roots.dev.join("serial/by-path"), &device),
        // PORT_UNKNOWN of include/uapi/linux/serial.h: the 8250 driver found no chip.
        hardware: text(&class.join(&name).join("type")).is_none_or(|kind| kind != "0"),
        links: links(roots, &class.join(&name)),
        usb: usb(&place),
        driver,
        device,
        name,
    })
}

/// The driver of a tty: that of the first folder above its own which has one.
fn driver(place: &Path) -> Option<String> {
    place.ancestors().filter_map(|folder| fs::read_link(folder.join("driver")).ok()).find_map(
        |driver| {
            let driver = driver.file_name()?.to_str()?.to_owned();
            // The serial core's own layers (since Linux 6.5) are between the tty and its driver.
            (driver != "port" && driver != "ctrl").then_some(driver)
        },
    )
}

/// The links in udev's record of a device, except those that every port has.
fn links(roots: &Roots, folder: &Path) -> Vec<PathBuf> {
    let record = text(&folder.join("dev"))
        .and_then(|number| text(&roots.run.join(format!("udev/data/c{number}"))));
    let record = record.unwrap_or_default();
    let links = record.lines().filter_map(|line| line.strip_prefix("S:"));
    links.filter(|link| !link.starts_with("serial/by-")).map(|link| roots.dev.join(link)).collect()
}

/// What the USB device above a sysfs folder says about itself.
fn usb(place: &Path) -> Option<Usb> {
    let hex = |folder: &Path, file: &str| u16::from_str_radix(&text(&folder.join(file))?, 16).ok();
    let mut interface = None;
    for folder in place.ancestors() {
        if interface.is_none() {
            interface =
                hex(folder, "bInterfaceNumber").and_then(|number| u8::try_from(number).ok());
        }
        if let (Some(vid), Some(pid)) = (hex(folder, "idVendor"), hex(folder, "idProduct")) {
            return Some(Usb {
                id: UsbId { vid, pid },
                serial: text(&folder.join("serial")),
                interface,
                manufacturer: text(&folder.join("manufacturer")),
                product: text(&folder.join("product")),
            });
        }
    }
    None
}

/// The device file that an identity means now.
pub(crate) fn resolve(identity: &PortIdentity, roots: &Roots) -> Result<PathBuf, OpenError> {
    match identity {
        PortIdentity::Path(path) => path.canonicalize().map_err(|error| {
            let kind = error.kind();
            if kind == io::ErrorKind::NotFound {
                OpenError::Absent(format!("{} is not there", path.display()))
            } else if kind == io::ErrorKind::PermissionDenied {
                OpenError::Denied(format!("{}: {error}", path.display()))
            } else {
                OpenError::Absent(format!("{}: {error}", path.display()))
            }
        }),
        PortIdentity::Usb { id, serial, interface } => {
            let all = find(roots);
            let fitting: Vec<&FoundPort> =
                all.iter().filter(|port| port.fits(*id, serial.as_deref(), *interface)).collect();
            match fitting.as_slice() {
                [] => Err(OpenError::Absent(absent(&wanted(identity), &all))),
                [port] => Ok(port.device.clone()),
                several => Err(OpenError::Unfit(format!(
                    "{} ports match {}; add `serial`, `interface` or `path`: {}",
                    several.len(),
                    wanted(identity),
                    several.iter().map(|port| described(port)).collect::<Vec<_>>().join(", ")
                ))),
            }
        }
    }
}

/// The USB numbers of the adapter that an identity means, without opening it; `None` if it is not
/// there.
pub(crate) async fn usb_of(identity: &PortIdentity) -> Option<UsbId> {
    let wanted = identity.clone();
    let look = move || {
        let roots = Roots::default();
        resolve(&wanted, &roots).ok().and_then(|device| usb_id(&device, &roots))
    };
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

/// The USB numbers of the adapter that a device file belongs to.
pub(super) fn usb_id(device: &Path, roots: &Roots) -> Option<UsbId> {
    usb(&place_of(device, roots)?).map(|usb| usb.id)
}

/// The driver behind a device file.
pub(super) fn driver_of(device: &Path, roots: &Roots) -> Option<String> {
    driver(&place_of(device, roots)?)
}

fn place_of(device: &Path, roots: &Roots) -> Option<PathBuf> {
    roots.sys.join("class/tty").join(device.file_name()?).join("device").canonicalize().ok()
}

/// The port that is meant, in words for people.
pub(super) fn wanted(identity: &PortIdentity) -> String {
    match identity {
        PortIdentity::Path(path) => path.display().to_string(),
        PortIdentity::Usb { id, serial, interface } => {
            let serial = serial.as_ref().map(|serial| format!(" with serial number {serial}"));
            let interface = interface.map(|number| format!(", interface {number}"));
            format!("USB {id}{}{}", serial.unwrap_or_default(), interface.unwrap_or_default())
        }
    }
}

fn absent(wanted: &str, all: &[FoundPort]) -> String {
    let usb: Vec<String> = all.iter().filter(|port| port.usb.is_some()).map(described).collect();
    if usb.is_empty() {
        format!("no port matches {wanted}; no USB serial port is plugged in")
    } else {
        format!("no port matches {wanted}; plugged in: {}", usb.join(", "))
    }
}

/// `/dev/ttyUSB0 (0403:6001, serial number A50285BI, interface 0)`
fn described(port: &FoundPort) -> String {
    let device = port.device.display();
    let Some(usb) = &port.usb else { return device.to_string() };
    let serial =
        usb.serial.as_ref().map(|serial| format!(", serial number {serial}")).unwrap_or_default();
    let interface = usb.interface.map(|number| format!(", interface {number}")).unwrap_or_default();
    format!("{device} ({}{serial}{interface})", usb.id)
}

/// The link in `folder` that leads to `device`; the first by name if there are several.
pub(super) fn link_to(folder: &Path, device: &Path) -> Option<PathBuf> {
    let device = device.canonicalize().ok()?;
    names(folder)
        .map(|name| folder.join(name))
        .filter(|link| link.canonicalize().is_ok_and(|to| to == device))
        .min()
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
}

/// A sysfs attribute; `None` if it is missing or empty.
fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Tree, *};

    const FTDI: UsbId = UsbId { vid: 0x0403, pid: 0x6001 };

    fn usb(serial: Option<&str>, interface: Option<u8>) -> PortIdentity {
        PortIdentity::Usb { id: FTDI, serial: serial.map(str::to_owned), interface }
    }

    #[test]
    fn a_usb_port_is_found_with_all_its_names() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
        tree.write("sys/class/tty/tty1/dev", "4:1\n");
        let found = find(&tree.roots);
        assert_eq!(found.len(), 1, "a virtual terminal is no serial port");
        let port = &found[0];
        assert_eq!(port.driver.as_deref(), Some("ftdi_sio"));
        assert_eq!(port.by_id, Some(tree.roots.dev.join("serial/by-id/usb-A1-if00-port0")));
        assert_eq!(port.by_path, Some(tree.roots.dev.join("serial/by-path/pci-usb-1-1:1.0-port0")));
        let usb = port.usb.as_ref().unwrap();
        assert_eq!((usb.id, usb.serial.as_deref(), usb.interface), (FTDI, Some("A1"), Some(0)));
        assert_eq!(usb.product.as_deref(), Some("USB-RS232 Cable"));
    }

    #[test]
    fn ports_come_in_the_order_people_count() {
        let tree = Tree::new();
        for number in [10, 2, 0] {
            tree.tty(
                &format!("ttyS{number}"),
                &format!("sys/devices/serial{number}"),
                "serial8250",
                number,
            );
        }
        let names: Vec<_> =
            find(&tree.roots).into_iter().map(|port| (port.name, port.hardware)).collect();
        assert_eq!(
            names,
            [("ttyS0".into(), false), ("ttyS2".into(), true), ("ttyS10".into(), true)]
        );
    }

    #[test]
    fn an_identity_finds_its_port_whatever_the_kernel_calls_it() {
        let tree = Tree::new();
        tree.usb("ttyUSB7", "1-1", ("0403:6001", "A1", 0));
        tree.usb("ttyUSB0", "1-2", ("0403:6001", "B2", 0));
        assert_eq!(
            resolve(&usb(Some("A1"), None), &tree.roots),
            Ok(tree.roots.dev.join("ttyUSB7"))
        );
        let link = PortIdentity::Path(tree.roots.dev.join("serial/by-id/usb-B2-if00-port0"));
        assert_eq!(
            resolve(&link, &tree.roots),
            Ok(tree.roots.dev.canonicalize().unwrap().join("ttyUSB0"))
        );
    }

    #[test]
    fn a_missing_port_is_told_with_what_is_plugged_in() {
        let tree = Tree::new();
        let text = resolve(&usb(Some("A1"), None), &tree.roots).unwrap_err().to_string();
        assert_eq!(
            text,
            "no port matches USB 0403:6001 with serial number A1; no USB serial port is plugged in"
        );
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "B2", 0));
        let error = resolve(&usb(Some("A1"), None), &tree.roots).unwrap_err();
        assert!(matches!(error, OpenError::Absent(_)));
        assert!(error.to_string().ends_with("interface 0)"), "{error}");
        let error =
            resolve(&PortIdentity::Path("/dev/no-such-port".into()), &tree.roots).unwrap_err();
        assert_eq!(error, OpenError::Absent("/dev/no-such-port is not there".into()));
    }

    #[test]
    fn an_identity_that_means_several_ports_names_them() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
        tree.usb("ttyUSB1", "1-2", ("0403:6001", "A1", 1));
        let error = resolve(&usb(Some("A1"), None), &tree.roots).unwrap_err();
        assert!(matches!(error, OpenError::Unfit(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("ttyUSB0 (0403:6001, serial number A1, interface 0)"), "{text}");
        assert!(text.contains("ttyUSB1"), "{text}");
        assert_eq!(
            resolve(&usb(Some("A1"), Some(1)), &tree.roots),
            Ok(tree.roots.dev.join("ttyUSB1"))
        );
    }

    #[test]
    fn two_adapters_whose_names_the_kernel_swapped_are_each_found_again() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
        tree.usb("ttyUSB1", "1-2", ("0403:6001", "B2", 0));
        let link = PortIdentity::Path(tree.roots.dev.join("serial/by-id/usb-B2-if00-port0"));
        let name = |port: &PortIdentity| {
            resolve(port, &tree.roots).unwrap().file_name().unwrap().to_owned()
        };
        assert_eq!(
            (name(&usb(Some("A1"), None)), name(&link)),
            ("ttyUSB0".into(), "ttyUSB1".into())
        );
        tree.unplug("ttyUSB0");
        tree.unplug("ttyUSB1");
        assert!(matches!(resolve(&link, &tree.roots), Err(OpenError::Absent(_))));
        tree.usb("ttyUSB0", "1-2", ("0403:6001", "B2", 0));
        tree.usb("ttyUSB1", "1-1", ("0403:6001", "A1", 0));
        assert_eq!(
            (name(&usb(Some("A1"), None)), name(&link)),
            ("ttyUSB1".into(), "ttyUSB0".into())
        );
    }

    #[test]
    fn the_usb_numbers_of_a_device_file_are_known_however_it_was_named() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
        tree.tty("ttyS0", "sys/devices/serial0", "serial8250", 4);
        assert_eq!(usb_id(&tree.roots.dev.join("ttyUSB0"), &tree.roots), Some(FTDI));
        assert_eq!(usb_id(&tree.roots.dev.join("ttyS0"), &tree.roots), None);
        assert_eq!(usb_id(Path::new("/dev/pts/0"), &tree.roots), None);
    }
}
