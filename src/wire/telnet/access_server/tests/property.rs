//! Whatever a client sends, in whatever pieces.

use proptest::prelude::*;

use super::*;

/// One order for each thing, whatever came together.
fn apart(orders: Vec<(usize, PortOrder)>) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (at, order) in orders {
        match order.deed {
            PortDeed::Configure(SettingsChange { baud, data, parity, stop, flow }) => {
                all.extend(baud.map(|v| (at, format!("{v:?}"))));
                all.extend(data.map(|v| (at, format!("{v:?}"))));
                all.extend(parity.map(|v| (at, format!("{v:?}"))));
                all.extend(stop.map(|v| (at, format!("{v:?}"))));
                all.extend(flow.map(|v| (at, format!("{v:?}"))));
            }
            PortDeed::Move(Levels { dtr, rts, brk }) => {
                all.extend(dtr.map(|v| (at, format!("dtr {v}"))));
                all.extend(rts.map(|v| (at, format!("rts {v}"))));
                all.extend(brk.map(|v| (at, format!("brk {v}"))));
            }
            PortDeed::Tell | PortDeed::Break | PortDeed::Purge(_) => {
                all.push((at, format!("{order:?}")));
            }
        }
    }
    // What came together has no order among itself.
    all.sort();
    all
}

/// Streams of a client, half of it sensible.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => (0_u8..14, prop::collection::vec(any::<u8>(), 0..5)).prop_map(|(code, value)| {
            let mut wire = Vec::new();
            sub(44, &[&[code], value.as_slice()].concat(), &mut wire);
            wire
        }),
        2 => (5_u8..6, 0_u8..20).prop_map(|(code, value)| vec![IAC, SB, 44, code, value, IAC, SE]),
        2 => (WILL..=254, prop_oneof![Just(0_u8), Just(1), Just(3), Just(44), Just(24)])
            .prop_map(|(verb, option)| vec![IAC, verb, option]),
        2 => prop::collection::vec(any::<u8>(), 0..9),
        1 => prop_oneof![Just(vec![IAC]), Just(vec![IAC, IAC]), Just(vec![b'\r', 0]), Just(vec![IAC, 243])],
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// What a stream gives in reads of a size.
fn whole(stream: &[u8], size: usize) -> (Vec<u8>, Vec<(usize, String)>, String) {
    let mut server = AccessServer::open("wsbridge/1 plc", &mut Vec::new());
    let (mut data, mut orders) = (Vec::new(), Vec::new());
    for read in stream.chunks(size) {
        let (more, asked, wire) = hear(&mut server, read);
        assert!(wire.len() <= read.len() + 1800, "{} to {}", wire.len(), read.len());
        orders.extend(asked.into_iter().map(|(at, order)| (data.len() + at, order)));
        data.extend(more);
    }
    (data, apart(orders), format!("{server:?}"))
}

proptest! {
    #[test]
    fn a_stream_gives_the_same_however_it_is_cut(stream in stream(), size in 1_usize..20) {
        prop_assert_eq!(whole(&stream, stream.len().max(1)), whole(&stream, size));
    }

    #[test]
    fn our_own_client_reads_what_it_sends(
        pieces in prop::collection::vec(prop::collection::vec(prop_oneof![Just(IAC), any::<u8>()], 0..40), 0..9),
        stream in stream(),
        baud in prop_oneof![Just(u32::MAX), any::<u32>()],
    ) {
        let mut server = agreed();
        hear(&mut server, &says(&[ComPortCommand::LineMask(0xff)]));
        let (_, orders, _) = hear(&mut server, &stream);
        let settings = Settings { baud, ..Settings::default() };
        let now = PortValues { settings, ..PortValues::default() };
        // Whatever the client agreed to last, what we send now is to be read by it.
        let mut server = agreed();
        let (mut wire, mut sent) = (Vec::new(), Vec::new());
        let mut asked = orders.iter();
        for piece in pieces {
            server.data(&piece, &mut wire);
            sent.extend(piece);
            if let Some((_, order)) = asked.next() {
                server.answer(order, true, &now, &mut wire);
            }
            server.modem_lines(Inputs { cts: sent.len() % 2 == 0, ..Inputs::default() }, &mut wire);
        }
        prop_assert_eq!(heard(wire).0, sent);
    }

    #[test]
    fn it_understands_our_own_client(control in 0_u8..20, purge in 1_u8..4, baud in 1_u32.., parity in 1_u8..6) {
        let mut server = agreed();
        let mut read = says(&[ComPortCommand::Baud(baud), ComPortCommand::Parity(parity)]);
        sub(44, &[5, control], &mut read);
        sub(44, &[12, purge], &mut read);
        let (data, orders, wire) = hear(&mut server, &read);
        prop_assert_eq!((data.len(), wire.len(), server.faults()), (0, 0, TelnetFaults::default()));
        let settings = Settings { baud, parity: comport_parity(parity), ..Settings::default() };
        let now = PortValues { settings, ..PortValues::default() };
        let told = answers(&server, &orders, true, &now);
        prop_assert_eq!(&told[..2], [ComPortCommand::Baud(baud), ComPortCommand::Parity(parity)]);
        let purge = [Purge::Input, Purge::Output, Purge::Both][usize::from(purge) - 1];
        prop_assert_eq!(told.last(), Some(&ComPortCommand::Purge(purge)));
        prop_assert_eq!(told.len(), 4);
    }
}

fn comport_parity(code: u8) -> Parity {
    crate::wire::telnet::comport::parity(code).unwrap()
}
