//! A serial port of this machine: its part of the configuration.

use std::time::Duration;

use super::{
    PortIdentity, Rs485, SerialTarget,
    cursor::{Either, Keys},
    port::{Macros, PortKeys, port},
    words::{EchoWord, PortPath},
};
use crate::settings::{Flow, UsbId};

/// Reads `serial:`, and with it the macros of its port.
pub(super) fn serial(k: &mut Keys<'_>) -> (Option<SerialTarget>, Macros) {
    let identity = k
        .key(
            "port",
            "`/dev/serial/by-id/...`, or an identity; `wsbridge ports` prints what to paste",
        )
        .uci("port")
        .must(|value| value.either::<PortPath, _>(identity));
    let PortKeys { settings, on_open, on_release, carrier, macros } = port(k);
    let rs485 = k
        .key("rs485", "direction control by the driver; not with `flow: rtscts`")
        .without("off")
        .uci("rs485")
        .map(rs485);
    let echo = k
        .key(
            "echo",
            "what becomes of our own bytes where a two-wire bus lets us hear them: `remove` takes them out. Only what comes \
             before our last stop bit has left, and the few milliseconds that the port may hold it, is taken for an echo, so \
             an answer that equals its request stays",
        )
        .uci("echo")
        .or(EchoWord::Keep);
    let low_latency = k
        .key("low_latency", "ask the driver for low latency, if it knows that")
        .uci("low_latency")
        .or(true);
    let allow_console = k
        .key("allow_console", "open even a tty that is the kernel's console or has a getty")
        .uci("allow_console")
        .or(false);
    if let (Some(rs485), Flow::Hardware) = (&rs485, settings.flow) {
        let what = "RTS cannot switch the direction and control the flow; use `flow: none`";
        k.wrong_in("rs485", rs485.at, what);
    }
    let port = identity.and_then(|it| match it.value {
        Either::Word(PortPath(path)) => Some(PortIdentity::Path(path)),
        Either::Map(identity) => identity,
    });
    let rs485 = rs485.map(|it| it.value);
    let target = port.map(|port| SerialTarget {
        port,
        settings,
        rs485,
        on_open,
        on_release,
        carrier,
        removes_echo: echo == EchoWord::Remove,
        low_latency,
        allow_console,
    });
    (target, macros)
}

fn identity(k: &mut Keys<'_>) -> Option<PortIdentity> {
    let usb = k.key("usb", "USB vendor and product").uci("usb").maybe::<UsbId>();
    let serial = k
        .key("serial", "USB serial number, with `usb`")
        .without("the only one there is")
        .uci("serial")
        .maybe::<String>();
    let interface = k
        .key("interface", "interface of an adapter with several ports, with `usb`")
        .without("any")
        .uci("interface")
        .within::<u32>(0..=255)
        .maybe();
    let path = k.key("path", "instead of `usb`").maybe::<PortPath>();
    match (k.has("usb"), k.has("path")) {
        (true, false) => Some(PortIdentity::Usb {
            id: usb?.value,
            serial: serial.map(|it| it.value),
            interface: interface.and_then(|it| u8::try_from(it.value).ok()),
        }),
        (false, true) if !k.has("serial") && !k.has("interface") => {
            path.map(|it| PortIdentity::Path(it.value.0))
        }
        _ => {
            let what = "write a path, or { usb: \"VID:PID\" } with `serial` and `interface` as needed; `wsbridge \
                        ports` prints what to paste";
            k.lacks(&["usb", "path"], k.at, what);
            None
        }
    }
}

fn rs485(k: &mut Keys<'_>) -> Rs485 {
    let mut flag = |name, meaning, option, default| k.key(name, meaning).uci(option).or(default);
    let rts_on_send = flag("rts_on_send", "RTS level while sending", "rs485_rts_on_send", true);
    let rts_after_send =
        flag("rts_after_send", "RTS level otherwise", "rs485_rts_after_send", false);
    let rx_during_tx = flag("rx_during_tx", "hear what we send", "rs485_rx_during_tx", false);
    let terminate = flag("terminate", "switch the bus terminator on", "rs485_terminate", false);
    // The kernel cuts longer ones (RS485_MAX_RTS_DELAY).
    let mut delay = |name, meaning, option| {
        let most = Duration::from_millis(100);
        k.key(name, meaning).uci(option).within(Duration::ZERO..=most).or(Duration::ZERO)
    };
    let delay_before =
        delay("delay_before", "pause between RTS and the first bit", "rs485_delay_before");
    let delay_after =
        delay("delay_after", "pause between the last bit and RTS", "rs485_delay_after");
    Rs485 { rts_on_send, rts_after_send, rx_during_tx, terminate, delay_before, delay_after }
}
