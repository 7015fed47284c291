//! Numbers that are compared to their last digit.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A finite number. Whole numbers of 64 bits are kept whole, as JSON's readers keep them; any other is
/// the double that it reads as. A double that is whole is compared as a whole number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exact {
    Whole(i128),
    /// With a fraction, or too large for a whole number here.
    Float(f64),
}

/// From here on, a double is no `i128` (2^127).
const WHOLE_END: f64 = 1.701_411_834_604_692_3e38;

impl Exact {
    /// Reads a number; None where the text is none, or no finite one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_suffix(".0").unwrap_or(text);
        let whole = digits
            .parse::<i64>()
            .map(i128::from)
            .or_else(|_| digits.parse::<u64>().map(Into::into));
        match whole {
            Ok(whole) => Some(Self::Whole(whole)),
            Err(_) => text.parse().ok().filter(|n: &f64| n.is_finite()).map(Self::of_float),
        }
    }

    pub(crate) fn of_float(number: f64) -> Self {
        if number.fract() == 0.0 && number.abs() < WHOLE_END {
            Self::Whole(number as i128)
        } else {
            Self::Float(number)
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(b)),
            // Of a number with a fraction the digits are few, so that none is lost.
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl Eq for Exact {}

impl Hash for Exact {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Whole(whole) => whole.hash(state),
            Self::Float(float) => float.to_bits().hash(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_to_their_last_digit() {
        let of = |text: &str| Exact::parse(text).unwrap();
        assert!(of("18446744073709551615") < of("18446744073709551616"));
        assert_eq!(of("18446744073709551616"), of("1.8446744073709552e19"));
        assert!(of("9007199254740993") > of("9007199254740992.0"));
        assert_eq!(of("-0.0"), of("0"));
        assert_eq!(of("5e0"), of("5.0"));
        assert!(of("5") < of("5.5") && of("-1e300") < of("-9223372036854775808"));
        assert!(of("1e300") > of("18446744073709551615"));
        assert!(Exact::parse("inf").is_none() && Exact::parse("1k").is_none());
    }
}
