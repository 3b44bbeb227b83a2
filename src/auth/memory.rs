//! How much memory this process may use: the machine's, or less if a control group says so.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The machine's memory, or a smaller limit of our control group or one above it, in bytes.
pub(super) fn allowed() -> u64 {
    let machine = rustix::system::sysinfo();
    // The width of these fields differs between architectures.
    #[expect(clippy::useless_conversion, reason = "32 bits wide on some architectures")]
    let machine = u64::from(machine.totalram).saturating_mul(machine.mem_unit.into());
    group_limit(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"))
        .map_or(machine, |limit| limit.min(machine))
}

/// The smallest limit from our control group upwards, in version 2 or 1 of the kernel's interface;
/// `None` if there is none.
fn group_limit(own: &Path, mounted: &Path) -> Option<u64> {
    let own = fs::read_to_string(own).ok()?;
    own.lines()
        .filter_map(|line| place(line, mounted))
        .filter_map(|(root, at, file)| lowest(&root, &at, file))
        .min()
}

/// Root, folder and limit file of one line of /proc/self/cgroup: `0::/path` of version 2,
/// `4:memory:/path` of version 1.
fn place(line: &str, mounted: &Path) -> Option<(PathBuf, PathBuf, &'static str)> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let (root, file) = match controllers {
        "" => (mounted.to_owned(), "memory.max"),
        _ if controllers.split(',').any(|one| one == "memory") => {
            (mounted.join("memory"), "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let at = root.join(path.trim_start_matches('/'));
    Some((root, at, file))
}

/// The smallest limit in a folder and those above it. A container sees a path that does not exist;
/// then its root counts.
fn lowest(root: &Path, at: &Path, file: &str) -> Option<u64> {
    let folders = at.ancestors().take_while(|folder| folder.starts_with(root));
    // `max`, version 2's word for no limit, is not a number.
    folders
        .filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(own: &str, files: &[(&str, &str)]) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join("own");
        fs::write(&group, own).unwrap();
        for (file, text) in files {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        group_limit(&group, folder.path())
    }

    #[test]
    fn the_lowest_limit_on_the_way_up_holds() {
        let files = [
            ("system.slice/wsbridge.service/memory.max", "max\n"),
            ("system.slice/memory.max", "134217728\n"),
            ("memory.max", "268435456\n"),
        ];
        assert_eq!(limit("0::/system.slice/wsbridge.service\n", &files), Some(134_217_728));
        assert_eq!(limit("0::/\n", &files), Some(268_435_456));
        assert_eq!(limit("0::/system.slice\n", &files[..1]), None);
    }

    #[test]
    fn the_older_interface_and_a_container_are_read_too() {
        let own = "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n";
        let outside = [("memory/docker/abc/memory.limit_in_bytes", "64000000\n")];
        assert_eq!(limit(own, &outside), Some(64_000_000));
        let inside = [("memory/memory.limit_in_bytes", "32000000\n")];
        assert_eq!(limit(own, &inside), Some(32_000_000));
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(allowed() > 16 << 20);
    }
}
