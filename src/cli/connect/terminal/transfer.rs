//! A file to or from the device, by lrzsz's programs between its line and this computer's files.

use std::{io, process::Stdio};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// Ends every protocol of the family, on the other side.
pub(super) const CANCEL: [u8; 16] =
    *b"\x18\x18\x18\x18\x18\x18\x18\x18\x08\x08\x08\x08\x08\x08\x08\x08";

/// A program that speaks the protocol.
#[derive(Debug)]
pub(super) struct Transfer {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Transfer {
    /// Sends the file that the answer names.
    pub(super) fn send(answer: &str) -> io::Result<Self> {
        let (protocol, file) = named(answer);
        let file = std::path::absolute(file)?;
        // Else the program that is missing would be blamed.
        file.metadata()?;
        let mut command = Command::new("sz");
        command.arg("-b");
        match protocol {
            'x' => {
                command.arg("--xmodem");
            }
            'y' => {
                command.arg("--ymodem");
            }
            _ => {}
        }
        command.arg("--").arg(file);
        Self::start(command)
    }

    /// Receives into the current folder.
    pub(super) fn receive(answer: &str) -> io::Result<Self> {
        let (protocol, file) = named(answer);
        let mut command = Command::new("rz");
        command.args(["-b", "-E"]);
        match protocol {
            'x' => {
                command.args(["--xmodem", "--", file]);
            }
            'y' => {
                command.arg("--ymodem");
            }
            _ => {}
        }
        Self::start(command)
    }

    fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            let install = io::Error::other("there is no `sz` and `rz` here: install lrzsz");
            if missing { install } else { error }
        })?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        Ok(Self { child, input, output })
    }

    /// Bytes of the device. One that has closed its ears needs no more.
    pub(super) async fn feed(&mut self, bytes: &[u8]) {
        let Some(input) = &mut self.input else { return };
        let fed = async {
            input.write_all(bytes).await?;
            input.flush().await
        };
        if fed.await.is_err() {
            self.input = None;
        }
    }

    /// Bytes for the device; none at its end.
    pub(super) async fn read(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8192);
        let _ = self.output.read_buf(&mut bytes).await;
        bytes
    }

    /// How it went, behind the last byte.
    pub(super) async fn outcome(mut self) -> String {
        drop(self.input);
        match self.child.wait().await {
            Ok(status) if status.success() => "the transfer is complete".into(),
            Ok(status) => format!("the transfer failed ({status})"),
            Err(error) => format!("the transfer failed: {error}"),
        }
    }
}

/// `x:FILE`, `y:FILE`, or `FILE` by ZMODEM.
fn named(answer: &str) -> (char, &str) {
    let answer = answer.trim();
    match answer.split_once(':') {
        Some(("x" | "X", file)) => ('x', file.trim()),
        Some(("y" | "Y", file)) => ('y', file.trim()),
        _ => ('z', answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_stands_before_the_file() {
        assert_eq!(named(" boot.bin "), ('z', "boot.bin"));
        assert_eq!(named("x:boot.bin"), ('x', "boot.bin"));
        assert_eq!(named("Y: boot.bin"), ('y', "boot.bin"));
        assert_eq!(named("C:x"), ('z', "C:x"));
    }
}
