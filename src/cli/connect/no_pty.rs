//! Device nodes where programs cannot make any.

use std::path::Path;

use super::{
    super::{CommandError, Outcome, SysExit},
    line::Line,
};

#[expect(clippy::unused_async, reason = "as where there are some")]
pub(super) async fn serve(_: &Line, path: &Path, _: bool) -> Outcome {
    let what = format!(
        "{}: a COM port is made by a driver: give com0com's hub4com or HW VSP3 the address of --rfc2217",
        path.display()
    );
    Err(CommandError::new(SysExit::Usage, what))
}
