//! Simulated devices, as the configuration names them.

/// A simulated device, behind a real pty, or a real TCP or UDP port.
#[derive(Clone, Debug, PartialEq)]
pub struct SimTarget {
    pub device: SimDevice,
}

/// The simulated devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimDevice {
    /// Answers AT commands (pty).
    Modem,
    /// Modbus RTU slave (pty).
    ModbusRtu,
    /// Modbus TCP server (TCP).
    ModbusTcp,
    /// Router console: boot log, then a prompt (pty).
    Console,
    /// Sends back what it gets (pty).
    Echo,
    /// Sends back what it gets (TCP).
    EchoTcp,
    /// An endless numbered stream (TCP).
    Source,
    /// A boat's multiplexer (UDP).
    Nmea,
}
