//! Simulated devices behind real ptys and real TCP and UDP ports, so that they are reached in
//! exactly the same way as real ones.

mod console;
mod drive;
mod echo;
mod modbus;
mod modem;
mod nmea;
mod pty;
mod script;
mod source;
mod tcp;
mod udp;

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::task::JoinSet;

use crate::config::{SimDevice, SimTarget, Target};

/// A running simulated device; when this is dropped it ends, and its connections with it.
#[derive(Debug)]
pub(crate) struct Sim {
    /// The real target that leads to it: a pty's path, or a loopback port.
    pub target: Target,
    /// Owns the device's task; dropping it aborts the task.
    _tasks: JoinSet<()>,
}

/// Starts a simulated device. Fails if no pty or no port on 127.0.0.1 can be had.
pub(crate) async fn start(target: &SimTarget) -> io::Result<Sim> {
    let mut tasks = JoinSet::new();
    let model = || Arc::new(Mutex::new(modbus::Model::default()));
    let target = match target.device {
        SimDevice::Modem => pty::start(&mut tasks, modem::Modem::default())?,
        SimDevice::ModbusRtu => pty::start(&mut tasks, modbus::rtu::Slave::new(model()))?,
        SimDevice::ModbusTcp => {
            let model = model();
            tcp::start(&mut tasks, move || modbus::tcp::Server::new(Arc::clone(&model))).await?
        }
        SimDevice::Console => pty::start(&mut tasks, console::Console::default())?,
        SimDevice::Echo => pty::start(&mut tasks, echo::Echo)?,
        SimDevice::EchoTcp => tcp::start(&mut tasks, || echo::Echo).await?,
        SimDevice::Source => tcp::start(&mut tasks, source::LineCounter::default).await?,
        SimDevice::Nmea => udp::start(&mut tasks, nmea::Multiplexer::default()).await?,
    };
    Ok(Sim { target, _tasks: tasks })
}

#[cfg(test)]
mod tests;
