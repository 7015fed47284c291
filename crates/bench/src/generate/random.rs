//! `SplitMix64`: random enough for test data, and the same on every machine.

pub(crate) const HEX: &[u8] = b"0123456789abcdef";

/// The state of one random stream; any number is a valid seed.
#[derive(Clone, Copy)]
pub struct Rng(pub u64);

impl Rng {
    /// An independent stream for each `number`; the generator itself stays as it is.
    #[must_use]
    pub(crate) fn fork(self, number: u64) -> Self {
        Self(mix(self.0 ^ mix(number.wrapping_add(GOLDEN))))
    }

    /// The next number of the stream, uniform over all 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..n`, uniformly distributed.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `0..n`, where each octave (1, 2 to 3, 4 to 7, …) is as likely as the next:
    /// Zipf's law without floating point, whose rounding differs between machines.
    pub fn zipf(&mut self, n: u64) -> u64 {
        loop {
            let octave = 1 << self.below(u64::from(n.ilog2()) + 1);
            let rank = octave + self.below(octave);
            if rank <= n {
                return rank - 1;
            }
        }
    }

    /// Characters of `alphabet`.
    pub(crate) fn write(&mut self, alphabet: &[u8], len: usize, out: &mut Vec<u8>) {
        out.extend((0..len).map(|_| alphabet[self.below(alphabet.len() as u64) as usize]));
    }

    /// A UUID of version 4.
    pub(crate) fn write_uuid(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        self.write(HEX, 36, out);
        let uuid = &mut out[start..];
        for dash in [8, 13, 18, 23] {
            uuid[dash] = b'-';
        }
        uuid[14] = b'4';
        uuid[19] = b"89ab"[self.below(4) as usize];
    }
}

/// `SplitMix64`'s step: 2^64 over the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
