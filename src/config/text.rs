//! A configuration's text, and the name of its file.

/// A file's name, for mistakes in it, and its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// What mistakes are told to be in.
    pub name: &'a str,
    /// What it says.
    pub text: &'a str,
}
