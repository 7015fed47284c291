//! The keys of groups: fields, spans of time, networks.

use super::{ParseError, Parser, Result};
use crate::ast::{Bin, GroupKey, Net};
use crate::time::short_unit;

impl Parser<'_> {
    pub(super) fn keys(&mut self) -> Result<Vec<GroupKey>> {
        self.by(Self::key)
    }

    /// A key with the name of its column behind or, as in other languages, before it.
    fn key(&mut self) -> Result<GroupKey> {
        let before = self.name_before();
        let open = self.scan;
        if self.eat_word_before("bin", "(") {
            let bin = self.bin_of_time()?;
            self.close(open, ")", "')'")?;
            return Ok(GroupKey::Bin { bin, name: self.column_name()?.or(before) });
        }
        if self.eat_word_before("net", "(") {
            let field = self.field()?;
            let net = self.net()?;
            self.close(open, ")", "')'")?;
            return Ok(GroupKey::Net { field, net, name: self.column_name()?.or(before) });
        }
        Ok(GroupKey::Field { field: self.field()?, name: self.column_name()?.or(before) })
    }

    /// `1h`, or as elsewhere `time, 1h`.
    fn bin_of_time(&mut self) -> Result<Bin> {
        self.scan.skip_spaces();
        let mut ahead = self.scan;
        let word = ahead.run(",");
        if ["time", "eventTime", "_time", "@timestamp", "TimeGenerated"].contains(&word) {
            ahead.skip_spaces();
            if ahead.eat(",") {
                self.scan = ahead;
            }
        }
        self.bin()
    }

    /// `, 24`, or `, 24, 64` for the two kinds of addresses.
    fn net(&mut self) -> Result<Net> {
        const EXAMPLE: &str = "write net(ip, 24), or net(ip, 24, 64) with the bits of IPv6";
        let mut bits = Vec::new();
        while bits.len() < 2 {
            self.scan.skip_spaces();
            if !self.scan.eat(",") {
                break;
            }
            self.scan.skip_spaces();
            self.scan.eat("/");
            let number = self.number()?.and_then(|number| u8::try_from(number).ok());
            bits.push(number.ok_or_else(|| self.unexpected("a number of bits").suggest(EXAMPLE))?);
        }
        let net = match bits[..] {
            [v4] => Net::new(v4, Net::V6_DEFAULT),
            [v4, v6] => Net::new(v4, v6),
            _ => return Err(self.unexpected("','").suggest(EXAMPLE)),
        };
        net.ok_or_else(|| {
            let message = "an IPv4 address has 32 bits, one of IPv6 has 128";
            ParseError::new(self.scan.offset(), message).suggest(EXAMPLE)
        })
    }

    /// `5m`, or in other words `5min`, `5 minutes`.
    pub(super) fn bin(&mut self) -> Result<Bin> {
        self.scan.skip_spaces();
        let mut ahead = self.scan;
        let word = ahead.run(",");
        if let Some(bin) = bin_of(word) {
            self.scan = ahead;
            return Ok(bin);
        }
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let unit = ahead.next_word(",");
        if let Some(bin) = bin_of(&format!("{word}{unit}")).filter(|_| is_number) {
            self.scan = ahead;
            return Ok(bin);
        }
        let error = self.unexpected("a width of time");
        Err(error.suggest("write 5m, 1h, 1d, 1w or 1mo"))
    }
}

/// A width of time by any name of its unit.
fn bin_of(text: &str) -> Option<Bin> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    Bin::parse(&format!("{number}{}", short_unit(unit)?))
}
