//! Inputs made from other inputs.

use bench::generate::random::Rng;

/// Longest input.
pub const INPUT_BYTES_MAX: usize = 64 << 10;

/// Values that a JSON value is replaced by.
const ODD_VALUES: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "-0",
    "0.0",
    "1e400",
    "-1e400",
    "1e-400",
    "18446744073709551616",
    "18446744073709551615",
    "-9223372036854775809",
    "9007199254740993",
    "1E5",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "[[[[1]]]]",
    "{\"a\":{\"a\":1}}",
    "\"2023-13-45T99:99:99Z\"",
    "\"9999-12-31T23:59:59Z\"",
    "\"-9999-01-01T00:00:00Z\"",
    "\"0000-01-01T00:00:00Z\"",
    "\"::ffff:1.2.3.4\"",
    "\"1.2.3.4\"",
    "\"%7B%22Statement%22%3A%5B%5D%7D\"",
    "\"{\\\"Statement\\\":[{\\\"Effect\\\":1}]}\"",
    "\"\u{202e}\"",
    "\"\u{1f600}\"",
    "[null,[],{}]",
    "\"00000000-0000-0000-0000-000000000000\"",
    "{\"\":\"\"}",
    "{\".\":1,\"..\":2,\"\\u0001\":3}",
];

/// See the module's documentation.
pub struct Mutator<'t> {
    pub random: Rng,
    /// What is mutated.
    pub pool: Vec<Vec<u8>>,
    /// What an input of this kind is made of.
    pub tokens: &'t [&'t str],
}

impl Mutator<'_> {
    /// An input that has not been yet, likely.
    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.any().to_vec();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    pub fn keep(&mut self, input: Vec<u8>, pool_max: usize) {
        if self.pool.len() < pool_max {
            self.pool.push(input);
        } else {
            let at = self.below(self.pool.len());
            self.pool[at] = input;
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound.max(1) as u64) as usize
    }

    /// The shortest of three: joining makes inputs ever longer, and long ones teach the same more slowly.
    fn any(&mut self) -> &[u8] {
        let places = [(); 3].map(|()| self.below(self.pool.len()));
        let shortest = places.into_iter().min_by_key(|at| self.pool[*at].len());
        &self.pool[shortest.expect("there are three")]
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        match self.below(14) {
            0 => self.change_byte(input, |random, byte| byte ^ 1 << random.below(8)),
            1 => self.change_byte(input, |random, _| random.draw() as u8),
            2 => {
                let range = self.range(input);
                input.drain(range);
            }
            3 => {
                let range = self.range(input);
                let times = 1 + self.random.zipf(2_000) as usize;
                let part = &input[range.clone()];
                let times = times.min(INPUT_BYTES_MAX / part.len().max(1));
                let part = part.repeat(times);
                input.splice(range.end..range.end, part);
            }
            4..=6 => {
                let at = self.below(input.len() + 1);
                let token = self.token();
                input.splice(at..at, token);
            }
            7 => {
                let range = self.range(input);
                let token = self.token();
                input.splice(range, token);
            }
            8 => {
                let length = self.below(input.len() + 1);
                input.truncate(length);
            }
            9 => {
                let at = self.below(input.len() + 1);
                let other = self.any().to_vec();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            10 => {
                let at = self.below(input.len() + 1);
                let other = self.any().to_vec();
                let range = self.range(&other);
                input.splice(at..at, other[range].iter().copied());
            }
            _ => self.replace_value(input),
        }
    }

    fn change_byte(&mut self, input: &mut [u8], change: impl FnOnce(&mut Rng, u8) -> u8) {
        let at = self.below(input.len());
        if let Some(byte) = input.get_mut(at) {
            *byte = change(&mut self.random, *byte);
        }
    }

    /// A short range, most of the time.
    fn range(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(input.len());
        let left = input.len() - start;
        start..start + self.random.zipf(left as u64 + 1) as usize
    }

    fn token(&mut self) -> Vec<u8> {
        let at = self.below(self.tokens.len());
        let token = self.tokens[at].as_bytes();
        let times = if self.below(20) == 0 { 1 + self.below(400) } else { 1 };
        token.repeat(times)
    }

    /// Replaces what follows a colon by another value, so that what was JSON still is.
    fn replace_value(&mut self, input: &mut Vec<u8>) {
        let from = self.below(input.len());
        let Some(colon) = input[from..].windows(2).position(|pair| pair == b"\":") else { return };
        let start = from + colon + 2;
        let start = start + input[start..].iter().take_while(|b| b.is_ascii_whitespace()).count();
        let value = &input[start..];
        let end = if value.starts_with(b"\"") {
            value[1..].iter().position(|b| *b == b'"').map(|at| at + 2)
        } else {
            value.iter().position(|b| matches!(b, b',' | b'}' | b']'))
        };
        let Some(end) = end else { return };
        let odd = self.below(ODD_VALUES.len());
        input.splice(start..start + end, ODD_VALUES[odd].bytes());
    }
}
