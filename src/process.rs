//! The mirror of [`std::process`]: children whose ends are waited for while other coroutines
//! run.
//!
//! What need not wait is std's own: `Stdio`, the statuses, `exit`, `abort`.

pub use corovent_runtime::process::Child;
pub use corovent_runtime::process::ChildStderr;
pub use corovent_runtime::process::ChildStdin;
pub use corovent_runtime::process::ChildStdout;
pub use corovent_runtime::process::Command;
pub use std::process::CommandArgs;
pub use std::process::CommandEnvs;
pub use std::process::ExitCode;
pub use std::process::ExitStatus;
pub use std::process::Output;
pub use std::process::Stdio;
pub use std::process::Termination;
pub use std::process::abort;
pub use std::process::exit;
pub use std::process::id;
