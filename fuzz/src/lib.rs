//! What must hold for any bytes a stranger sends. Each function panics where it does not. `fuzz/run` runs the targets.

pub mod differential;

use tungstenite;
use wsbridge::wire::{close::Refusal, frame, head, subprotocol};

/// The frame decoder reads what tungstenite reads, in reads of any size: the first byte says which.
pub fn check_frame(bytes: &[u8]) {
    if let [chunk, stream @ ..] = bytes {
        differential::agree(stream, usize::from(*chunk));
    }
}

/// A head gives the same however it is cut, and what is let through is read the same by hyper's parser.
pub fn check_head(bytes: &[u8]) {
    let whole = head::scan(bytes);
    let first = (0..bytes.len()).map(|cut| head::scan(&bytes[..cut])).find(|early| *early != Ok(None));
    assert_eq!(first.as_ref().unwrap_or(&whole), &whole, "a cut makes a difference");
    assert!(whole != Ok(None) || bytes.len() < head::HEAD_MAX, "a full buffer decides");
    let Ok(Some(head)) = whole else { return };
    let mut fields = [httparse::EMPTY_HEADER; head::FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(head.len)));
    assert_eq!(request.version, Some(1));
    let named =
        |name: &str| request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    assert_eq!((named("host"), named("transfer-encoding")), (1, 0));
    let length = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(0, |field| str::from_utf8(field.value).unwrap().parse().unwrap());
    assert_eq!(head.body, length);
    assert!(!head.upgrade || head.body == 0);
}

/// Offers are answered with one of them or not at all, and no credential shows. The first byte says what is spoken, a
/// line is a field's value.
pub fn check_subprotocol(bytes: &[u8]) {
    let Some((allowed, offers)) = bytes.split_first() else { return };
    let Ok(offers) = str::from_utf8(offers) else { return };
    match subprotocol::negotiate(offers.lines(), allowed & 1 != 0, allowed & 2 != 0) {
        Ok(offer) => {
            let names: Vec<&str> = offers.lines().flat_map(|value| value.split(',')).map(str::trim).collect();
            match offer.answer {
                Some(answer) => assert!(names.contains(&answer.name())),
                None => assert!(names.is_empty()),
            }
            if let Some(subprotocol::Credential::Bearer(text) | subprotocol::Credential::Ticket(text)) =
                &offer.credential
            {
                assert!((1..=subprotocol::CREDENTIAL_MAX).contains(&text.reveal().len()));
            }
            let shown = format!("{:?}", offer.credential);
            assert!(["None", "Some(Bearer(..))", "Some(Ticket(..))"].contains(&shown.as_str()));
        }
        Err(Refusal::BadRequest(_)) => {}
        Err(other) => panic!("a refusal of another kind: {other:?}"),
    }
}
