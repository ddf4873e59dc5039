//! The frames: how the other side knows where a message ends.
//!
//! ```text
//! | length, 4 bytes, big endian | header, JSON, so many bytes | payload, as the header says |
//! ```
//!
//! Nothing that comes is believed: a length is compared with a limit before memory is taken,
//! and what is wrong is told in words. Payloads are streamed, so they may be of any size.

use std::io::Error;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Result;
use std::io::Write;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use corovent::io;

/// A header names a file, and a path has at most so many bytes.
pub(crate) const HEADER_BYTES_MAX: usize = 4096;

/// The header of what a client sends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Request {
    /// A payload of this size follows, to be kept under this name.
    Put {
        name: String,
        size: u64,
    },
    Get {
        name: String,
    },
    Ls,
}

/// The header of what a server sends.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Answer {
    /// A payload of this size follows.
    Ok {
        size: u64,
    },
    Error {
        message: String,
    },
}

/// Writes the length and the header of a frame, in one piece.
pub(crate) fn write_header(writer: &mut impl Write, header: &impl Serialize) -> Result<()> {
    let header = serde_json::to_vec(header)?;
    if header.len() > HEADER_BYTES_MAX {
        let size = header.len();
        return Err(invalid(format!("a header of {size} bytes, more than {HEADER_BYTES_MAX}")));
    }
    let mut bytes = (header.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&header);
    writer.write_all(&bytes)
}

/// Reads the length and the header of a frame. `None` if the stream has ended before it.
pub(crate) fn read_header<H: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<H>> {
    let length = read_part(reader, size_of::<u32>(), "length")?;
    let Ok(length) = <[u8; 4]>::try_from(length) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(length) as usize;
    if length > HEADER_BYTES_MAX {
        return Err(invalid(format!("a header of {length} bytes, more than {HEADER_BYTES_MAX}")));
    }
    let header = read_part(reader, length, "header")?;
    if header.len() < length {
        return Err(cut("header", 0, length as u64));
    }
    let bad = |error| invalid(format!("a header that cannot be understood: {error}"));
    serde_json::from_slice(&header).map(Some).map_err(bad)
}

/// Copies the payload of a frame from one to the other, in pieces.
pub(crate) fn copy_payload(
    reader: &mut impl Read,
    writer: &mut impl Write,
    size: u64,
) -> Result<()> {
    let copied = io::copy(&mut reader.take(size), writer)?;
    if copied < size { Err(cut("payload", copied, size)) } else { Ok(()) }
}

/// Reads so many bytes, or none if there is nothing but the end.
fn read_part(reader: &mut impl Read, size: usize, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size);
    reader.take(size as u64).read_to_end(&mut bytes)?;
    match bytes.len() {
        0 => Ok(bytes),
        read if read < size => Err(cut(what, read as u64, size as u64)),
        _ => Ok(bytes),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidData, message)
}

fn cut(what: &str, read: u64, size: u64) -> Error {
    let message = format!("the stream has ended within a {what}, after {read} of {size} bytes");
    Error::new(ErrorKind::UnexpectedEof, message)
}
