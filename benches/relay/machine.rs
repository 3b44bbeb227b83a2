//! Which machine and which versions the figures are of.

use std::{fs, path::Path, process::Command};

/// Processor, memory, kernel.
pub(crate) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |names: &[&str]| {
        let line = cpu.lines().find(|line| names.iter().any(|name| line.starts_with(name)));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let model =
        field(&["model name", "Model", "Hardware"]).unwrap_or_else(|| "unknown processor".into());
    let flags = field(&["flags", "Features"]).unwrap_or_default();
    let aes = if flags.split(' ').any(|flag| flag == "aes") { "with AES" } else { "without AES" };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let kernel = read("/proc/sys/kernel/osrelease");
    let virt = if flags.split(' ').any(|flag| flag == "hypervisor") { ", virtual" } else { "" };
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let arch = std::env::consts::ARCH;
    format!(
        "{model}, {arch}, {cores} cores{virt}, {aes} instructions; Linux {kernel}; load {load} when begun"
    )
}

/// The first line with a digit in it of what a program says of its version.
pub(crate) fn version(program: &Path, arguments: &[&str]) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let said = Command::new(program).args(arguments).output();
    let said = said.map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let line = said.lines().find(|line| line.chars().any(|character| character.is_ascii_digit()));
    line.map_or(name, |line| line.trim().to_owned())
}
