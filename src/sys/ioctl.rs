//! Kernel calls that no safe crate offers, one thin wrapper each: the only `unsafe` in the project.
//! Nearly all are ioctls.
//!
//! Every wrapper hands the kernel a pointer to a value it owns, of the type that the request has in
//! `include/uapi/asm-generic/ioctls.h`, `include/uapi/linux/serial.h` or
//! `include/uapi/linux/tcp.h`; the descriptor is borrowed for the call.
#![expect(unsafe_code, reason = "ioctl, getsockopt and setsockopt take an untyped pointer")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "libc gives requests in the width of its ioctl(), which differs by libc; every request has 32 bits"
)]

use std::{
    ffi::{c_int, c_ulong, c_void},
    fmt, io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::thread::JoinHandleExt,
    },
    ptr,
    sync::OnceLock,
    thread::JoinHandle,
};

use rustix::ioctl::{Getter, NoArg, Opcode, Setter, Updater, ioctl};

use crate::settings::ErrorCounts;

/// Data Terminal Ready, as a bit of [`modem_lines`].
pub(crate) const DTR: c_int = libc::TIOCM_DTR;
/// Request To Send.
pub(crate) const RTS: c_int = libc::TIOCM_RTS;
/// Clear To Send.
pub(crate) const CTS: c_int = libc::TIOCM_CTS;
/// Data Set Ready.
pub(crate) const DSR: c_int = libc::TIOCM_DSR;
/// Data Carrier Detect.
pub(crate) const DCD: c_int = libc::TIOCM_CD;
/// Ring Indicator.
pub(crate) const RI: c_int = libc::TIOCM_RI;

/// A second descriptor of an open stream, close-on-exec.
pub(crate) fn duplicate(stream: &impl AsRawFd) -> io::Result<OwnedFd> {
    // SAFETY: the stream is borrowed for the whole call, so its descriptor stays open.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }.try_clone_to_owned()
}

/// TIOCMGET: the modem lines as bits.
pub(crate) fn modem_lines(fd: impl AsFd) -> io::Result<c_int> {
    // SAFETY: TIOCMGET writes one int.
    Ok(unsafe { ioctl(fd, Getter::<{ libc::TIOCMGET as Opcode }, c_int>::new()) }?)
}

/// TIOCMSET: sets DTR and RTS (and whatever else `lines` contains) in one call.
pub(crate) fn set_modem_lines(fd: impl AsFd, lines: c_int) -> io::Result<()> {
    // SAFETY: TIOCMSET reads one int.
    Ok(unsafe { ioctl(fd, Setter::<{ libc::TIOCMSET as Opcode }, c_int>::new(lines)) }?)
}

/// TIOCMBIS, TIOCMBIC: raises or lowers these lines and leaves the others alone.
pub(crate) fn move_modem_lines(fd: impl AsFd, lines: c_int, up: bool) -> io::Result<()> {
    // SAFETY: both read one int.
    Ok(unsafe {
        if up {
            ioctl(fd, Setter::<{ libc::TIOCMBIS as Opcode }, c_int>::new(lines))
        } else {
            ioctl(fd, Setter::<{ libc::TIOCMBIC as Opcode }, c_int>::new(lines))
        }
    }?)
}

/// TIOCSBRK, TIOCCBRK: begins or ends a break.
pub(crate) fn set_break(fd: impl AsFd, on: bool) -> io::Result<()> {
    // SAFETY: neither takes an argument.
    Ok(unsafe {
        if on {
            ioctl(fd, NoArg::<{ libc::TIOCSBRK as Opcode }>::new())
        } else {
            ioctl(fd, NoArg::<{ libc::TIOCCBRK as Opcode }>::new())
        }
    }?)
}

/// TIOCPKT: what is read from a pty's master begins with a byte that is 0 before data, and else says
/// what programs did to the slave.
pub(crate) fn set_packet_mode(fd: impl AsFd, on: bool) -> io::Result<()> {
    // SAFETY: TIOCPKT reads one int.
    Ok(unsafe { ioctl(fd, Setter::<{ libc::TIOCPKT as Opcode }, c_int>::new(on.into())) }?)
}

/// TIOCOUTQ: bytes in the driver's output queue. SIOCOUTQ has the same number and asks a socket:
/// for TCP it counts what the peer's kernel has not acknowledged, our FIN included; for a unix
/// socket, the memory taken by what the peer has not read.
pub(crate) fn unsent(fd: impl AsFd) -> io::Result<usize> {
    // SAFETY: TIOCOUTQ writes one int.
    let count = unsafe { ioctl(fd, Getter::<{ libc::TIOCOUTQ as Opcode }, c_int>::new()) }?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// `TIOCSER_TEMT` of `include/uapi/asm-generic/ioctls.h`.
const TRANSMITTER_EMPTY: c_int = 1;

/// TIOCSERGETLSR: whether the transmitter is empty, including its shift register.
pub(crate) fn transmitter_empty(fd: impl AsFd) -> io::Result<bool> {
    // SAFETY: TIOCSERGETLSR writes one int.
    let status = unsafe { ioctl(fd, Getter::<{ libc::TIOCSERGETLSR as Opcode }, c_int>::new()) }?;
    Ok(status & TRANSMITTER_EMPTY != 0)
}

/// The signal that interrupts a blocking call. It is ignored by default, so one from elsewhere does
/// no harm.
const WAKE: c_int = libc::SIGURG;

/// Lets [`interrupt`] end blocking calls: a signal without a handler ends none.
pub(crate) fn make_interruptible() -> io::Result<()> {
    extern "C" fn nothing(_: c_int) {}
    static FAILED: OnceLock<Option<io::ErrorKind>> = OnceLock::new();
    let failed = *FAILED.get_or_init(|| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: all zeroes is a sigaction without flags (no SA_RESTART) and with an empty mask; a
        // handler that does nothing is safe in every context.
        let done = unsafe {
            (*action.as_mut_ptr()).sa_sigaction = nothing as extern "C" fn(c_int) as usize;
            libc::sigaction(WAKE, action.as_ptr(), ptr::null_mut())
        };
        (done != 0).then(|| io::Error::last_os_error().kind())
    });
    failed.map_or(Ok(()), |kind| Err(kind.into()))
}

/// Ends the call that a thread is blocked in, with EINTR; does nothing if there is none.
pub(crate) fn interrupt<T>(thread: &JoinHandle<T>) {
    // To libc it is a pointer with musl, and to the standard library a number everywhere.
    let id = thread.as_pthread_t() as libc::pthread_t;
    // SAFETY: the thread is neither joined nor detached while its handle is borrowed, so the id is
    // still its own.
    unsafe { libc::pthread_kill(id, WAKE) };
}

/// `struct serial_icounter_struct`
#[repr(C)]
struct Counters {
    inputs: [c_int; 4],
    bytes: [c_int; 2],
    frame: c_int,
    overrun: c_int,
    parity: c_int,
    brk: c_int,
    buf_overrun: c_int,
    reserved: [c_int; 9],
}

/// TIOCGICOUNT: what the driver has counted since it was loaded. The counters wrap.
fn counters(fd: impl AsFd) -> io::Result<Counters> {
    // SAFETY: TIOCGICOUNT writes one serial_icounter_struct; every bit pattern of it is valid.
    Ok(unsafe { ioctl(fd, Getter::<{ libc::TIOCGICOUNT as Opcode }, Counters>::new()) }?)
}

/// How often each input line changed; most drivers count only the falling edge of RI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InputCounts {
    pub(crate) cts: c_int,
    pub(crate) dsr: c_int,
    pub(crate) ri: c_int,
    pub(crate) dcd: c_int,
}

/// TIOCGICOUNT: how often the modem lines changed.
pub(crate) fn input_counts(fd: impl AsFd) -> io::Result<InputCounts> {
    let [cts, dsr, ri, dcd] = counters(fd)?.inputs;
    Ok(InputCounts { cts, dsr, ri, dcd })
}

/// TIOCGICOUNT: received errors.
pub(crate) fn error_counts(fd: impl AsFd) -> io::Result<ErrorCounts> {
    let counters = counters(fd)?;
    Ok(ErrorCounts {
        brk: counters.brk.cast_unsigned(),
        parity: counters.parity.cast_unsigned(),
        framing: counters.frame.cast_unsigned(),
        overrun: counters.overrun.cast_unsigned(),
        buffer_overrun: counters.buf_overrun.cast_unsigned(),
        telnet: 0,
    })
}

/// `struct serial_struct`
#[repr(C)]
struct SerialInfo {
    kind: c_int,
    line: c_int,
    port: u32,
    irq: c_int,
    flags: c_int,
    xmit_fifo_size: c_int,
    custom_divisor: c_int,
    baud_base: c_int,
    close_delay: u16,
    io_type: u8,
    reserved: u8,
    hub6: c_int,
    closing_wait: u16,
    closing_wait2: u16,
    iomem_base: *mut c_void,
    iomem_reg_shift: u16,
    port_high: u32,
    iomap_base: c_ulong,
}

/// `ASYNC_LOW_LATENCY` of `include/uapi/linux/tty_flags.h`: any user may set it.
const LOW_LATENCY: c_int = 1 << 13;

/// TIOCGSERIAL, TIOCSSERIAL: asks for low latency and leaves everything else as it was.
pub(crate) fn set_low_latency(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd();
    // SAFETY: TIOCGSERIAL fills one serial_struct; the pointer in it is the kernel's and is never
    // followed here.
    let mut info =
        unsafe { ioctl(fd, Getter::<{ libc::TIOCGSERIAL as Opcode }, SerialInfo>::new()) }?;
    if info.flags & LOW_LATENCY != 0 {
        return Ok(());
    }
    info.flags |= LOW_LATENCY;
    info.iomem_base = ptr::null_mut(); // output only
    // SAFETY: TIOCSSERIAL reads one serial_struct.
    Ok(unsafe { ioctl(fd, Setter::<{ libc::TIOCSSERIAL as Opcode }, SerialInfo>::new(info)) }?)
}

/// `struct serial_rs485`: flags and delays of RS-485 direction control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Rs485Bits {
    /// `SER_RS485_*` bits.
    pub(crate) flags: u32,
    /// Milliseconds.
    pub(crate) delay_before: u32,
    /// Milliseconds.
    pub(crate) delay_after: u32,
    padding: [u32; 5],
}

impl Rs485Bits {
    /// `SER_RS485_ENABLED`
    pub(crate) const ENABLED: u32 = 1;
    /// `SER_RS485_RTS_ON_SEND`
    pub(crate) const RTS_ON_SEND: u32 = 1 << 1;
    /// `SER_RS485_RTS_AFTER_SEND`
    pub(crate) const RTS_AFTER_SEND: u32 = 1 << 2;
    /// `SER_RS485_RX_DURING_TX`
    pub(crate) const RX_DURING_TX: u32 = 1 << 4;
    /// `SER_RS485_TERMINATE_BUS`
    pub(crate) const TERMINATE_BUS: u32 = 1 << 5;

    /// These flags and delays.
    pub(crate) fn new(flags: u32, delay_before: u32, delay_after: u32) -> Self {
        Self { flags, delay_before, delay_after, padding: [0; 5] }
    }
}

impl fmt::Display for Rs485Bits {
    /// `flags 0x3, delays 1 and 0 ms`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "flags {:#x}, delays {} and {} ms",
            self.flags, self.delay_before, self.delay_after
        )
    }
}

/// TIOCSRS485: sets the direction control; returns what the driver accepted.
pub(crate) fn set_rs485(fd: impl AsFd, mut bits: Rs485Bits) -> io::Result<Rs485Bits> {
    // SAFETY: TIOCSRS485 reads one serial_rs485 and writes it back; every bit pattern of it is
    // valid.
    unsafe { ioctl(fd, Updater::<{ libc::TIOCSRS485 as Opcode }, Rs485Bits>::new(&mut bits)) }?;
    Ok(bits)
}

/// The front of `struct tcp_info`, which has only ever grown at its end.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct TcpInfo {
    /// [`TcpInfo::CLOSE`] and the like.
    pub(crate) state: u8,
    ca_state: u8,
    retransmits: u8,
    /// Window or keepalive probes sent since the peer acknowledged anything.
    pub(crate) probes: u8,
    /// How often `rto` was doubled since the peer last acknowledged anything new.
    pub(crate) backoff: u8,
    options: u8,
    window_scales: u8,
    flags: u8,
    /// Microseconds until what is in flight is sent again, back-off included.
    pub(crate) rto: u32,
    ato: u32,
    snd_mss: u32,
    rcv_mss: u32,
    /// Segments in flight.
    pub(crate) unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    fackets: u32,
    /// Milliseconds since data was last sent, for the first time or again.
    pub(crate) last_data_sent: u32,
    last_ack_sent: u32,
    /// Milliseconds since data came.
    pub(crate) last_data_recv: u32,
    /// Milliseconds since an acknowledgement came.
    pub(crate) last_ack_recv: u32,
    pmtu: u32,
    rcv_ssthresh: u32,
    /// Smoothed round trip in microseconds.
    pub(crate) rtt: u32,
}

impl TcpInfo {
    /// `TCP_ESTABLISHED`
    pub(crate) const ESTABLISHED: u8 = 1;
    /// `TCP_CLOSE`
    pub(crate) const CLOSE: u8 = 7;
    /// `TCP_CLOSE_WAIT`: the peer has ended its side, and we have not ended ours.
    pub(crate) const CLOSE_WAIT: u8 = 8;
}

/// `TCP_INFO`: the state of a connection.
pub(crate) fn tcp_info(fd: impl AsFd) -> io::Result<TcpInfo> {
    let mut info = TcpInfo::default();
    let mut length = size_of::<TcpInfo>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, and their number into `length`; every bit
    // pattern is valid.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast::<c_void>(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if (length as usize) < size_of::<TcpInfo>() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(info)
}

/// `IP_RECVERR`, `IPV6_RECVERR`: tells a datagram socket also of errors that may pass (no route to
/// the host or its network), and not only that nobody listens there.
pub(crate) fn tell_all_errors(fd: impl AsFd, v6: bool) -> io::Result<()> {
    let (level, option) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    };
    let on: c_int = 1;
    // SAFETY: the kernel reads one int.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const on).cast::<c_void>(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
