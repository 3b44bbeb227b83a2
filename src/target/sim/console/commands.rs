//! What the router says: its boot log, and the answers to its commands.

use std::{borrow::Cow, time::Duration};

use super::TimedText;

/// The boot log: milliseconds before each line, the line.
const BOOT: &[(u64, &str)] = &[
    (50, ""),
    (10, "Boot ROM 2.4 (built Mar  3 2025)"),
    (120, "DRAM:  512 MiB DDR3, ECC off"),
    (60, "NAND:  128 MiB, 3 bad blocks"),
    (30, "Net:   eth0, eth1"),
    (200, "Verifying image 1 ... sha256 ok"),
    (150, "Starting kernel ..."),
    (10, ""),
    (250, "[    0.000000] Linux version 6.6.58 (build@factory) (armv7l-linux-gcc 13.2) #1 SMP"),
    (20, "[    0.000000] CPU: ARMv7 Processor [410fc075] revision 5 (ARMv7), cr=10c5387d"),
    (30, "[    0.000000] Machine model: Simulated Router SR-2"),
    (40, "[    0.052113] SMP: Total of 2 processors activated (96.00 BogoMIPS)"),
    (90, "[    0.210442] pinctrl core: initialized pinctrl subsystem"),
    (60, "[    0.381029] clocksource: Switched to clocksource arch_sys_counter"),
    (
        80,
        "[    0.702310] 10074000.serial: ttyS0 at MMIO 0x10074000 (irq = 29, base_baud = 3000000) is a 16550A",
    ),
    (40, "[    0.744120] printk: console [ttyS0] enabled"),
    (130, "[    1.012843] ubi0: attached mtd3 (name \"rootfs\", size 96 MiB)"),
    (160, "[    1.377265] VFS: Mounted root (ubifs filesystem) readonly on device 0:14."),
    (60, "[    1.502981] Run /sbin/init as init process"),
    (200, "init: mounting /var"),
    (150, "init: starting syslogd, cron, sshd"),
    (250, "[    2.613377] eth0: link up, 1000 Mbps, full duplex"),
    (100, "[    2.702118] eth1: link down"),
    (200, "routed: 14 routes loaded"),
    (150, "ntpd: clock synchronised to 192.0.2.123"),
    (200, ""),
    (10, "Simulated Router SR-2, software 4.1.7"),
    (10, ""),
];

const HELP: &str = "\
help, ?             this list
show version        model, software, uptime
show interfaces     ports and their counters
show log            the boot log
ping ADDRESS        five echo requests
enable, disable     enter and leave privileged mode
reload              restart (privileged)";

const INTERFACES: &str = "\
Port  State  Speed     Address          Received     Sent  Errors
eth0  up     1000/full 192.0.2.1/24      8812093  7120334       0
eth1  down   -         198.51.100.1/24         0        0       0
lo0   up     -         127.0.0.1/8         10422    10422       0";

/// What a command leads to.
pub(super) enum Reaction {
    /// Lines, then the prompt.
    Say(Cow<'static, str>),
    /// Output paced in time, then the prompt.
    Play(Vec<TimedText>),
    /// Privileged mode, or not.
    Enable(bool),
    /// A question; `reload` waits for the answer.
    Confirm(&'static str),
}

/// The boot log as a script.
pub(super) fn boot_log() -> impl Iterator<Item = TimedText> {
    BOOT.iter().map(|(pause, line)| (Duration::from_millis(*pause), format!("{line}\r\n").into()))
}

/// Runs one line. Words may be abbreviated while they remain unambiguous: `sh ver`.
pub(super) fn run(line: &str, enabled: bool, uptime: Duration) -> Reaction {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is =
        |index: usize, word: &str| words.get(index).is_some_and(|typed| word.starts_with(*typed));
    match words.as_slice() {
        [] => Reaction::Say("".into()),
        ["?"] => Reaction::Say(HELP.into()),
        [_] if is(0, "help") => Reaction::Say(HELP.into()),
        [_] if is(0, "enable") => Reaction::Enable(true),
        [_] if is(0, "disable") || is(0, "exit") => Reaction::Enable(false),
        [_] if is(0, "reload") && enabled => Reaction::Confirm("Restart the router? [confirm] "),
        [_] if is(0, "reload") => Reaction::Say("reload is privileged; type `enable` first".into()),
        [_, _] if is(0, "show") && is(1, "version") => Reaction::Say(version(uptime).into()),
        [_, _] if is(0, "show") && is(1, "interfaces") => Reaction::Say(INTERFACES.into()),
        [_, _] if is(0, "show") && is(1, "log") => Reaction::Say(log().into()),
        [_, ..] if is(0, "show") => Reaction::Say("show what? version, interfaces or log".into()),
        [_, address] if is(0, "ping") => Reaction::Play(ping(address)),
        [_] if is(0, "ping") => Reaction::Say("ping whom? give an address".into()),
        [first, ..] => Reaction::Say(format!("unknown command `{first}`; type `help`").into()),
    }
}

fn version(uptime: Duration) -> String {
    let seconds = uptime.as_secs();
    format!(
        "Simulated Router SR-2, software 4.1.7\nboot ROM 2.4, 512 MiB memory, 128 MiB flash\nuptime {}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn log() -> String {
    BOOT.iter()
        .map(|(_, line)| *line)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Five answers, a fifth of a second apart; every address is at home.
fn ping(address: &str) -> Vec<TimedText> {
    let say = |pause, text: String| (Duration::from_millis(pause), Cow::from(text));
    let first = say(0, format!("Sending 5 echo requests of 100 bytes to {address}\r\n"));
    let dots = (0..5).map(|_| say(200, "!".into()));
    let last = say(50, "\r\n5 sent, 5 received, round trip min/avg/max = 1/2/4 ms\r\n".into());
    std::iter::once(first).chain(dots).chain([last]).collect()
}
