//! A made-up machine, for the tests of this folder and of the list of ports.

use std::{fs, os::unix::fs::symlink};

use super::identity::{Roots, link_to};

/// A sysfs and a /dev of our own.
pub(crate) struct Tree {
    folder: tempfile::TempDir,
    /// Where they are.
    pub(crate) roots: Roots,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let roots = Roots {
            sys: at("sys"),
            dev: at("dev"),
            proc: at("proc"),
            run: at("run"),
            locks: at("lock"),
        };
        for path in
            ["sys/class/tty", "dev/serial/by-id", "dev/serial/by-path", "proc", "run", "lock"]
        {
            fs::create_dir_all(at(path)).unwrap();
        }
        Self { folder, roots }
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Plugs in a USB adapter with one port on this interface.
    pub(crate) fn usb(&self, name: &str, bus: &str, (id, serial, interface): (&str, &str, u8)) {
        let (vid, pid) = id.split_once(':').unwrap();
        let adapter = format!("sys/devices/usb1/{bus}");
        self.write(&format!("{adapter}/idVendor"), &format!("{vid}\n"));
        self.write(&format!("{adapter}/idProduct"), &format!("{pid}\n"));
        self.write(&format!("{adapter}/serial"), &format!("{serial}\n"));
        self.write(&format!("{adapter}/product"), "USB-RS232 Cable\n");
        let port = format!("{adapter}/{bus}:1.{interface}");
        self.write(&format!("{port}/bInterfaceNumber"), &format!("{interface:02x}\n"));
        self.tty(name, &format!("{port}/{name}"), "ftdi_sio", 1);
        let dev = &self.roots.dev;
        let by_id = dev.join(format!("serial/by-id/usb-{serial}-if{interface:02}-port0"));
        // Of two equal names udev keeps only one.
        let _ = symlink(format!("../../{name}"), by_id);
        let by_path = dev.join(format!("serial/by-path/pci-usb-{bus}:1.{interface}-port0"));
        symlink(format!("../../{name}"), by_path).unwrap();
    }

    /// Unplugs the adapter with this port; udev removes its links.
    pub(crate) fn unplug(&self, name: &str) {
        let class = self.roots.sys.join("class/tty").join(name);
        let adapter = class.join("device").canonicalize().unwrap();
        fs::remove_dir_all(adapter.ancestors().nth(2).unwrap()).unwrap();
        for folder in ["serial/by-id", "serial/by-path"] {
            let link = link_to(&self.roots.dev.join(folder), &self.roots.dev.join(name)).unwrap();
            fs::remove_file(link).unwrap();
        }
        fs::remove_file(class).unwrap();
        fs::remove_file(self.roots.dev.join(name)).unwrap();
    }

    /// A tty with this folder of `sys/devices` behind it.
    pub(crate) fn tty(&self, name: &str, place: &str, driver: &str, kind: u8) {
        let at = |path: &str| self.folder.path().join(path);
        let class = format!("{place}/tty/{name}");
        self.write(&format!("{class}/type"), &format!("{kind}\n"));
        self.write(&format!("sys/bus/drivers/{driver}/bind"), "");
        self.write(&format!("dev/{name}"), "");
        symlink(at(place), at(&class).join("device")).unwrap();
        symlink(at(&format!("sys/bus/drivers/{driver}")), at(place).join("driver")).unwrap();
        symlink(at(&class), at("sys/class/tty").join(name)).unwrap();
    }
}
