//! A configuration's text, and its file's name.

/// A file's name, which mistakes in it quote, and its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// The name that mistakes quote.
    pub name: &'a str,
    pub text: &'a str,
}
