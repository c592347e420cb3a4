//! Random bytes from the system.

use rustix::rand::{GetRandomFlags, getrandom};

/// So many random bytes, fit for keys.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => unreachable!("the kernel has random bytes for everybody: {error}"),
        }
    }
    bytes
}
