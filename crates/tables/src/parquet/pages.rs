//! The pages of one column in one row group: found, bounded and inflated. What a page's header states is
//! checked before memory is taken for it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::Crc;
use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;

use super::thrift::{Member, Thrift};
use crate::limits::{BATCH_ROWS, PAGE_HEADER_BYTES_MAX, VALUE_BYTES};

/// Bytes that are read for a header at first.
const HEADER_BYTES_FIRST: usize = 4 << 10;

/// The memory that all columns of a file take together.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    pub(super) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), max })
    }

    fn take(&self, bytes: u64) -> Result<(), ParquetError> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.max {
            return Ok(());
        }
        self.give(bytes);
        Err(general(format!("its pages take more than {} bytes of memory at once", self.max)))
    }

    fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What a column has taken of the budget for the values that it has decoded and not handed on.
#[derive(Debug, Default)]
pub(super) struct Values {
    of_page: u64,
    of_batch: u64,
}

/// Shared by the pages, which add to it, and whoever takes the values.
pub(super) type SharedValues = Arc<Mutex<Values>>;

/// Gives back what the values of the last batch took. Those of the page at hand are still to come.
pub(super) fn end_batch(values: &SharedValues, budget: &Budget) {
    let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
    budget.give(values.of_batch - values.of_page);
    values.of_batch = values.of_page;
}

/// Where a column's pages are, and how they are packed.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) codec: Compression,
    pub(super) is_repeated: bool,
}

/// See the module's documentation.
pub(super) struct Pages {
    file: Arc<File>,
    chunk: Chunk,
    at: u64,
    budget: Arc<Budget>,
    values: SharedValues,
    /// Bytes taken of the budget for the dictionary, and for the page at hand.
    of_dictionary: u64,
    of_page: u64,
    peeked: Option<(Header, u64)>,
}

/// What a page's header says.
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    kind: i64,
    inflated: u64,
    packed: u64,
    crc: Option<u32>,
    values: u32,
    encoding: i64,
    levels: [i64; 2],
    rows: u32,
    nulls: u32,
    level_bytes: [u32; 2],
    is_packed: bool,
    is_sorted: bool,
}

const DATA: i64 = 0;
const INDEX: i64 = 1;
const DICTIONARY: i64 = 2;
const DATA_V2: i64 = 3;

impl Drop for Pages {
    fn drop(&mut self) {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        self.budget.give(self.of_dictionary + self.of_page + values.of_batch);
    }
}

impl Pages {
    pub(super) fn new(
        file: &Arc<File>,
        chunk: Chunk,
        budget: &Arc<Budget>,
        values: &SharedValues,
    ) -> Self {
        Self {
            file: Arc::clone(file),
            at: chunk.start,
            chunk,
            budget: Arc::clone(budget),
            values: Arc::clone(values),
            of_dictionary: 0,
            of_page: 0,
            peeked: None,
        }
    }

    /// The next header that is no index's, and where its page begins.
    fn header(&mut self) -> Result<Option<(Header, u64)>, ParquetError> {
        if let Some(peeked) = self.peeked {
            return Ok(Some(peeked));
        }
        while self.at < self.chunk.end {
            let (header, length) = self.read_header()?;
            let start = self.at + length;
            if header.packed > self.chunk.end.saturating_sub(start) {
                return Err(self.damaged("the page goes on behind the end of its column"));
            }
            if header.kind == INDEX {
                self.at = start + header.packed;
                continue;
            }
            self.peeked = Some((header, start));
            return Ok(self.peeked);
        }
        Ok(None)
    }

    fn read_header(&self) -> Result<(Header, u64), ParquetError> {
        let left = usize::try_from(self.chunk.end - self.at).unwrap_or(usize::MAX);
        let mut length = HEADER_BYTES_FIRST;
        loop {
            let mut bytes = vec![0; length.min(left)];
            self.file.read_exact_at(&mut bytes, self.at)?;
            let mut thrift = Thrift::new(&bytes);
            if let Some(header) = Header::read(&mut thrift) {
                return Ok((header, thrift.at as u64));
            }
            if length >= left.min(PAGE_HEADER_BYTES_MAX) {
                return Err(self.damaged("the header of a page is damaged"));
            }
            length *= 16;
        }
    }

    fn damaged(&self, reason: &str) -> ParquetError {
        general(format!("{reason}, at byte {}", self.at))
    }

    /// Takes the memory for a page, and gives back what the page before it took.
    fn pay(&mut self, header: &Header) -> Result<(), ParquetError> {
        let values = u64::from(header.values);
        if header.kind == DICTIONARY {
            // Each value of a dictionary has a length, or is a number.
            if values > header.inflated {
                return Err(self.damaged("the dictionary states more values than it has bytes"));
            }
            let bytes = header.inflated + values * VALUE_BYTES;
            self.budget.take(bytes)?;
            self.of_dictionary += bytes;
            return Ok(());
        }
        self.budget.give(std::mem::take(&mut self.of_page));
        let mut bytes = header.inflated;
        if header.encoding == Encoding::DELTA_BYTE_ARRAY as i64 {
            // A value may have all of the one before it as its beginning.
            if self.chunk.is_repeated {
                return Err(self.damaged("a list in the encoding DELTA_BYTE_ARRAY is not read"));
            }
            bytes = bytes.saturating_mul(BATCH_ROWS as u64 + 1);
        }
        self.budget.take(bytes)?;
        self.of_page = bytes;
        if self.chunk.is_repeated {
            let bytes = values * VALUE_BYTES;
            self.budget.take(bytes)?;
            let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            values.of_page = bytes;
            values.of_batch += bytes;
        }
        Ok(())
    }

    fn page(&mut self) -> Result<Option<Page>, ParquetError> {
        let Some((header, start)) = self.header()? else { return Ok(None) };
        self.pay(&header)?;
        self.budget.take(header.packed)?;
        let mut packed = vec![0; header.packed as usize];
        self.file.read_exact_at(&mut packed, start)?;
        if header.crc.is_some_and(|crc| crc != crc_of(&packed)) {
            return Err(self.damaged("the checksum of a page is wrong"));
        }
        let buf = self.inflated(&header, packed)?;
        self.budget.give(header.packed);
        self.peeked = None;
        self.at = start + header.packed;
        let encoding = encoding(header.encoding)?;
        let num_values = header.values;
        Ok(Some(match header.kind {
            DATA => Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding: self::encoding(header.levels[0])?,
                rep_level_encoding: self::encoding(header.levels[1])?,
                statistics: None,
            },
            DATA_V2 => Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls: header.nulls,
                num_rows: header.rows,
                def_levels_byte_len: header.level_bytes[0],
                rep_levels_byte_len: header.level_bytes[1],
                is_compressed: header.is_packed,
                statistics: None,
            },
            DICTIONARY => {
                Page::DictionaryPage { buf, num_values, encoding, is_sorted: header.is_sorted }
            }
            _ => return Err(self.damaged("a page is of a kind that is not known")),
        }))
    }

    /// The bytes of a page. The levels of the second version are not packed.
    fn inflated(&self, header: &Header, packed: Vec<u8>) -> Result<Bytes, ParquetError> {
        let size = header.inflated as usize;
        let levels = if header.kind == DATA_V2 {
            header.level_bytes.iter().map(|bytes| *bytes as usize).sum()
        } else {
            0
        };
        if levels > size || levels > packed.len() {
            return Err(self.damaged("the levels of a page are longer than it"));
        }
        if matches!(self.chunk.codec, Compression::UNCOMPRESSED) || !header.is_packed {
            if packed.len() != size {
                return Err(self.damaged("a page has another length than it states"));
            }
            return Ok(packed.into());
        }
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&packed[..levels]);
        if size > levels {
            inflate(self.chunk.codec, &packed[levels..], size - levels, &mut bytes)
                .map_err(|reason| self.damaged(&reason))?;
        }
        if bytes.len() != size {
            return Err(self.damaged("a page inflates to another length than it states"));
        }
        Ok(bytes.into())
    }
}

/// Adds to `out` what `packed` inflates to, `size` bytes and no more.
fn inflate(
    codec: Compression,
    packed: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| format!("a page cannot be inflated: {error}");
    match codec {
        Compression::SNAPPY => {
            let stated = snap::raw::decompress_len(packed).map_err(|error| told(&error))?;
            if stated != size {
                return Err("a page inflates to another length than it states".to_owned());
            }
            let start = out.len();
            out.resize(start + size, 0);
            let inflated = snap::raw::Decoder::new().decompress(packed, &mut out[start..]);
            inflated.map(|_| ()).map_err(|error| told(&error))
        }
        Compression::GZIP(_) => {
            // One byte more shows that there is more.
            let mut inflated = MultiGzDecoder::new(packed).take(size as u64 + 1);
            inflated.read_to_end(out).map(|_| ()).map_err(|error| told(&error))
        }
        Compression::ZSTD(_) => {
            let inflated = zstd::bulk::decompress(packed, size).map_err(|error| told(&error))?;
            out.extend_from_slice(&inflated);
            Ok(())
        }
        codec => Err(format!(
            "it is compressed by {codec}, which is not read; SNAPPY, GZIP and ZSTD are, and none"
        )),
    }
}

fn crc_of(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn general(reason: String) -> ParquetError {
    ParquetError::General(reason)
}

fn encoding(number: i64) -> Result<Encoding, ParquetError> {
    const ALL: [Encoding; 9] = [
        Encoding::PLAIN,
        Encoding::PLAIN_DICTIONARY,
        Encoding::RLE,
        #[expect(deprecated, reason = "old files have it")]
        Encoding::BIT_PACKED,
        Encoding::DELTA_BINARY_PACKED,
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Encoding::DELTA_BYTE_ARRAY,
        Encoding::RLE_DICTIONARY,
        Encoding::BYTE_STREAM_SPLIT,
    ];
    let of_number = ALL.into_iter().find(|encoding| *encoding as i64 == number);
    of_number.ok_or_else(|| general(format!("encoding {number} is not known")))
}

impl Header {
    /// Reads a header; None where it is damaged, or goes on behind the bytes.
    fn read(thrift: &mut Thrift<'_>) -> Option<Self> {
        let mut header = Self { is_packed: true, kind: -1, ..Self::default() };
        thrift.members(|thrift, member| {
            match member.id {
                1 => header.kind = thrift.number(member)?,
                2 => header.inflated = u64::try_from(thrift.number(member)?).ok()?,
                3 => header.packed = u64::try_from(thrift.number(member)?).ok()?,
                4 => header.crc = Some(thrift.number(member)? as u32),
                5 => thrift.group(member, |thrift, member| header.data(thrift, member))?,
                7 => thrift.group(member, |thrift, member| header.dictionary(thrift, member))?,
                8 => thrift.group(member, |thrift, member| header.data_v2(thrift, member))?,
                _ => thrift.skip(member)?,
            }
            Some(())
        })?;
        // No page has more: the format counts both in 31 bits.
        let limit = u64::from(u32::MAX / 2);
        (header.inflated <= limit && header.packed <= limit).then_some(header)
    }

    fn data(&mut self, thrift: &mut Thrift<'_>, member: Member) -> Option<()> {
        match member.id {
            1 => self.values = u32::try_from(thrift.number(member)?).ok()?,
            2 => self.encoding = thrift.number(member)?,
            3 => self.levels[0] = thrift.number(member)?,
            4 => self.levels[1] = thrift.number(member)?,
            _ => thrift.skip(member)?,
        }
        Some(())
    }

    fn dictionary(&mut self, thrift: &mut Thrift<'_>, member: Member) -> Option<()> {
        match member.id {
            1 => self.values = u32::try_from(thrift.number(member)?).ok()?,
            2 => self.encoding = thrift.number(member)?,
            3 => self.is_sorted = Thrift::truth(member)?,
            _ => thrift.skip(member)?,
        }
        Some(())
    }

    fn data_v2(&mut self, thrift: &mut Thrift<'_>, member: Member) -> Option<()> {
        match member.id {
            1 => self.values = u32::try_from(thrift.number(member)?).ok()?,
            2 => self.nulls = u32::try_from(thrift.number(member)?).ok()?,
            3 => self.rows = u32::try_from(thrift.number(member)?).ok()?,
            4 => self.encoding = thrift.number(member)?,
            5 => self.level_bytes[0] = u32::try_from(thrift.number(member)?).ok()?,
            6 => self.level_bytes[1] = u32::try_from(thrift.number(member)?).ok()?,
            7 => self.is_packed = Thrift::truth(member)?,
            _ => thrift.skip(member)?,
        }
        Some(())
    }
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        self.page()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        Ok(self.header()?.map(|(header, _)| PageMetadata {
            num_rows: (header.kind == DATA_V2).then_some(header.rows as usize),
            num_levels: (header.kind != DICTIONARY).then_some(header.values as usize),
            is_dict: header.kind == DICTIONARY,
        }))
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        if let Some((header, start)) = self.header()? {
            self.peeked = None;
            self.at = start + header.packed;
        }
        Ok(())
    }
}
