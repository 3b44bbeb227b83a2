//! Waits for a serial port that is not there: on events from the kernel and udev, and on the folder
//! in which its file will appear.
//!
//! Events are only hints: each makes us look again. If none come (a container has no uevents), the
//! caller's pause ends the wait. A watcher lives only while a device is missing.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::inotify,
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind,
        netlink::{self, SocketAddrNetlink},
        socket_with,
    },
};
use tokio::{
    net::unix::pipe,
    time::{sleep, timeout},
};

use super::{
    super::OpenError,
    identity::{self, Roots},
};
use crate::config::{PortIdentity, SerialTarget};

/// Multicast groups: 1 is the kernel's (the device file exists, for root alone), 2 is udev's
/// (permissions and links are set).
const GROUPS: u32 = 1 | 2;

/// udev may still have to set the permissions of a device file that changed within this time.
pub(super) const YOUNG: Duration = Duration::from_secs(5);

/// Pause before such a file is tried again.
pub(super) const PERMISSION_PAUSE: Duration = Duration::from_millis(50);

/// Longer than any event; a longer one is cut, and is only a hint anyway (the kernel's limit is 2
/// KiB, udev's 8).
const EVENT: usize = 8192;

/// Ready when it is worth trying again to open a port that could not be opened: milliseconds after
/// it arrived or its permissions changed, otherwise after `pause`.
pub(crate) async fn appeared(target: &SerialTarget, pause: Duration) {
    // An expired wait means that nothing was announced.
    timeout(pause, came(&target.port, &Roots::default())).await.ok();
}

async fn came(port: &PortIdentity, roots: &Roots) {
    let folder = match port {
        PortIdentity::Path(path) => path.ancestors().skip(1).find(|folder| folder.is_dir()),
        PortIdentity::Usb { .. } => None,
    };
    let uevents = watched("uevents", uevents());
    let files = watched("device files", folder_events(&[Some(roots.dev.as_path()), folder]));
    // Only now, so that nothing can arrive unseen between this look and the first event.
    if let Some(device) = there(port, roots).await
        && is_young(&device)
    {
        return sleep(PERMISSION_PAUSE).await;
    }
    loop {
        tokio::select! {
            () = hint(uevents.as_ref(), is_tty_event) => {}
            () = hint(files.as_ref(), |_| true) => {}
        }
        if there(port, roots).await.is_some() {
            return;
        }
    }
}

/// Whether a port has only just arrived: udev sets its permissions a moment after the kernel has
/// made its file.
pub(super) async fn is_new(port: &PortIdentity) -> bool {
    there(port, &Roots::default()).await.is_some_and(|device| is_young(&device))
}

/// The device file that an identity means; `/` if that cannot be said for any reason other than its
/// absence.
async fn there(port: &PortIdentity, roots: &Roots) -> Option<PathBuf> {
    let (port, roots) = (port.clone(), roots.clone());
    let look = tokio::task::spawn_blocking(move || identity::resolve(&port, &roots));
    match look.await {
        Ok(Ok(device)) => fs::exists(&device).is_ok_and(|exists| exists).then_some(device),
        Ok(Err(OpenError::Absent(_))) | Err(_) => None,
        Ok(Err(_)) => Some("/".into()),
    }
}

/// Whether the file was made, or its permissions set, just now (going by its ctime, which data does
/// not change on a tty).
fn is_young(device: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(data) = fs::metadata(device) else { return false };
    let seconds = u64::try_from(data.ctime()).unwrap_or(0);
    let nanoseconds = u32::try_from(data.ctime_nsec()).unwrap_or(0);
    let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    changed.elapsed().map_or(true, |age| age < YOUNG)
}

/// Tokio's pipe end is its only safe wrapper for an arbitrary descriptor; only `try_read` reads it.
fn watched(what: &str, made: io::Result<OwnedFd>) -> Option<pipe::Receiver> {
    let made = made.and_then(pipe::Receiver::from_owned_fd_unchecked);
    made.inspect_err(|error| tracing::debug!(%error, "no events of {what}")).ok()
}

/// A socket on which the kernel and udev report devices.
fn uevents() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = AddressFamily::NETLINK;
    let socket = socket_with(family, SocketType::DGRAM, flags, Some(netlink::KOBJECT_UEVENT))?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    Ok(socket)
}

/// Reports files that appear in these folders, and permissions that change in them.
fn folder_events(folders: &[Option<&Path>]) -> io::Result<OwnedFd> {
    use inotify::{CreateFlags, WatchFlags, add_watch, init};
    let watcher = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    for folder in folders.iter().flatten() {
        add_watch(
            &watcher,
            *folder,
            WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB,
        )?;
    }
    Ok(watcher)
}

/// Ready when something relevant was reported; never without a watcher.
async fn hint(watcher: Option<&pipe::Receiver>, counts: impl Fn(&[u8]) -> bool) {
    let Some(watcher) = watcher else { return std::future::pending().await };
    let mut told = false;
    let mut buf = vec![0; EVENT];
    while !told {
        if watcher.readable().await.is_err() {
            return std::future::pending().await;
        }
        // Reads all there is, so that plugging in one device means one look.
        loop {
            match watcher.try_read(&mut buf) {
                Ok(length) => told |= counts(buf.split_at(length).0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // More was reported than the socket could hold.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => told = true,
                Err(_) => return std::future::pending().await,
            }
        }
    }
}

/// Whether a tty came or changed. Events of both senders are `KEY=value` fields that end with a
/// zero byte; udev's begin with a binary header.
fn is_tty_event(event: &[u8]) -> bool {
    let mut fields = event.split(|byte| *byte == 0);
    let tty = fields.clone().any(|field| field == b"SUBSYSTEM=tty");
    tty && !fields.any(|field| field.ends_with(b"ACTION=remove"))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, pin::pin, task::Poll};

    use futures_util::poll;

    use super::{super::tree::Tree, *};
    use crate::settings::UsbId;

    const LONG: Duration = Duration::from_secs(10);

    fn adapter(serial: &str) -> PortIdentity {
        let id = UsbId { vid: 0x0403, pid: 0x6001 };
        PortIdentity::Usb { id, serial: Some(serial.to_owned()), interface: None }
    }

    #[tokio::test]
    async fn a_plugged_adapter_is_told_at_once_and_another_one_is_not() {
        let tree = Tree::new();
        let wanted = adapter("A1");
        let mut came = pin!(came(&wanted, &tree.roots));
        assert_eq!(poll!(&mut came), Poll::Pending);
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "B2", 0));
        assert!(timeout(Duration::from_millis(30), &mut came).await.is_err());
        tree.usb("ttyUSB1", "1-2", ("0403:6001", "A1", 0));
        timeout(LONG, came).await.unwrap();
    }

    #[tokio::test]
    async fn a_link_that_comes_into_its_folder_is_told_at_once() {
        let tree = Tree::new();
        tree.write("dev/ttyUSB3", "");
        let link = tree.roots.dev.join("serial/by-id/usb-C3");
        let wanted = PortIdentity::Path(link.clone());
        let mut came = pin!(came(&wanted, &tree.roots));
        assert!(timeout(Duration::from_millis(30), &mut came).await.is_err());
        symlink("../../ttyUSB3", link).unwrap();
        timeout(LONG, came).await.unwrap();
    }

    #[tokio::test]
    async fn a_device_that_came_between_two_looks_is_tried_again_soon() {
        let tree = Tree::new();
        tree.usb("ttyUSB0", "1-1", ("0403:6001", "A1", 0));
        timeout(LONG, came(&adapter("A1"), &tree.roots)).await.unwrap();
    }

    #[test]
    fn events_of_the_kernel_and_of_udev_are_understood() {
        let kernel =
            b"add@/devices/x/ttyUSB0\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=tty\0DEVNAME=ttyUSB0\0";
        let udev = b"libudev\0\xfe\xed\xca\xfe(\0\0\0\x12ACTION=add\0SUBSYSTEM=tty\0DEVNAME=/dev/ttyUSB0\0";
        assert!(is_tty_event(kernel) && is_tty_event(udev));
        assert!(!is_tty_event(b"remove@/devices/x\0ACTION=remove\0SUBSYSTEM=tty\0"));
        assert!(!is_tty_event(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=usb\0"));
    }
}
