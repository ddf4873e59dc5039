//! What the processor is asked to fetch before a coroutine is resumed.

use crate::coroutine::Coroutine;
use crate::sys::cache::LINE_BYTES;
use crate::sys::cache::prefetch;
use crate::sys::frames;

/// A switch pushes three words.
const PUSHED_BYTES: usize = 24;

impl Coroutine {
    /// How many bytes below the record, about, a coroutine's frames end if it waits now, as its own
    /// code says. Any number where there is no coroutine, or other code says so, or they are
    /// 64 KiB and more.
    #[inline(always)]
    pub(crate) fn depth_bytes(coroutine: Option<Coroutine>) -> u16 {
        let record = coroutine.map_or(0, |coroutine| coroutine.record.addr().get());
        record.wrapping_sub(frames::stack_pointer()) as u16
    }

    /// Asks for what a resume reads first: the record and the line below.
    #[inline(always)]
    pub(crate) fn prefetch(self) {
        let record = self.record.as_ptr().cast::<u8>();
        prefetch(record);
        prefetch(record.wrapping_sub(LINE_BYTES));
    }

    /// The same, and so many lines of the frames that wait, if they have as many: from the lowest,
    /// which is so deep below the record.
    #[inline(always)]
    pub(crate) fn prefetch_frames(self, depth_bytes: u16, lines: usize) {
        let record = self.record.as_ptr().cast::<u8>();
        prefetch(record);
        let depth_bytes = usize::from(depth_bytes) + PUSHED_BYTES;
        let lowest = record.wrapping_sub(depth_bytes);
        for line in 0..lines.min(depth_bytes.div_ceil(LINE_BYTES)) {
            prefetch(lowest.wrapping_add(line * LINE_BYTES));
        }
    }
}
