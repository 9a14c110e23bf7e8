//! Parses bytes into a [`DataSet`], without recursion and without trusting declared lengths.
//!
//! dicom-object 0.10.1 recurses into sequences, so that a 200 KB file of 10,000 nested sequences overflows the stack and aborts
//! the process. It also allocates the declared length of an element, so that a file of 356 bytes takes 4.2 GB. Here a stack of
//! levels with bounded depth replaces the recursion, and a value is copied only after its bytes were read.

use super::charset::Charset;
use super::element::{DataSet, Element, Value};
use super::{Syntax, Tag, Vr};

/// Maximum nesting depth of sequences.
const DEPTH_LIMIT: usize = 64;
/// Maximum number of elements and items of a file, including nested ones. They take half a gigabyte.
const ELEMENT_LIMIT: usize = 1 << 24;
/// Declared length of a value that ends at a delimiter.
const UNDEFINED: u32 = u32::MAX;

/// Why parsing stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The given bytes end before the file does. The caller parses again with more bytes.
    More,
    /// The file is damaged: the element, if known, and the reason.
    Fault(Option<Tag>, String),
}

fn fault<T>(tag: Tag, why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fault(Some(tag), why.into()))
}

/// Position and length of a file's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelElement {
    /// PixelData, FloatPixelData or DoubleFloatPixelData.
    pub tag: Tag,
    /// Position of the value among the file's bytes, inflated if the file is deflated.
    pub offset: usize,
    /// Length in bytes as declared; `None` if encapsulated.
    pub length: Option<usize>,
    /// OB or OW. Only OW values are swapped in big-endian files.
    pub vr: Vr,
}

/// The file meta information.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub data: DataSet,
    /// Position of the first element after it.
    pub end: usize,
    /// Transfer syntax UID; `None` if the file does not say.
    pub syntax: Option<String>,
}

/// Byte order and presence of value representations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Encoding {
    explicit: bool,
    big_endian: bool,
}

impl Encoding {
    const IMPLICIT: Self = Self { explicit: false, big_endian: false };
    const EXPLICIT: Self = Self { explicit: true, big_endian: false };
}

/// The bytes read so far, of a file of `total` bytes.
struct Reader<'a> {
    bytes: &'a [u8],
    total: usize,
    offset: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self, n: usize) -> Result<&'a [u8], Stop> {
        if let Some(bytes) = self.offset.checked_add(n).and_then(|end| self.bytes.get(self.offset..end)) {
            return Ok(bytes);
        }
        let left = self.total.saturating_sub(self.offset);
        if n <= left { Err(Stop::More) } else { Err(Stop::Fault(None, format!("{n} bytes expected, {left} left"))) }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Stop> {
        let bytes = self.peek(n)?;
        self.offset += n;
        Ok(bytes)
    }

    fn u16(&mut self, big_endian: bool) -> Result<u16, Stop> {
        let bytes: [u8; 2] = self.take(2)?.try_into().unwrap_or_default();
        Ok(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&mut self, big_endian: bool) -> Result<u32, Stop> {
        let bytes: [u8; 4] = self.take(4)?.try_into().unwrap_or_default();
        Ok(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn tag(&mut self, big_endian: bool) -> Result<Tag, Stop> {
        Ok(Tag(self.u16(big_endian)?, self.u16(big_endian)?))
    }

    /// Tag, value representation and length of the element at this position.
    fn element_head(&mut self, encoding: Encoding) -> Result<(Tag, Vr, u32, Encoding), Stop> {
        let tag = self.tag(encoding.big_endian)?;
        if tag.0 == 0xfffe {
            return Ok((tag, Vr::UN, self.u32(encoding.big_endian)?, encoding));
        }
        if encoding.explicit
            && let letters = self.peek(2)?
            && letters.iter().all(u8::is_ascii_uppercase)
        {
            self.offset += 2;
            let vr = Vr::of([letters[0], letters[1]]);
            let length = if vr.is_some_and(Vr::has_long_length) {
                self.take(2)?;
                self.u32(encoding.big_endian)?
            } else {
                u32::from(self.u16(encoding.big_endian)?)
            };
            return Ok((tag, vr.unwrap_or(Vr::UN), length, encoding));
        }
        // Also the odd element without letters in an explicit file.
        let length = self.u32(encoding.big_endian)?;
        Ok((tag, tag.vr().unwrap_or(Vr::UN), length, Encoding { explicit: false, ..encoding }))
    }
}

/// What is being read: the elements of a data set, or the items of a sequence.
enum Level {
    Data { elements: Vec<Element>, charset: Charset, end: Option<usize>, encoding: Encoding },
    Items { tag: Tag, items: Vec<DataSet>, end: Option<usize>, encoding: Encoding },
}

/// Where a file's elements start: after the preamble, or at 0 where there is none.
pub(super) fn start_of(bytes: &[u8]) -> usize {
    match bytes {
        _ if bytes.get(128..132) == Some(b"DICM") => 132,
        _ if bytes.starts_with(b"DICM") => 4,
        _ => 0,
    }
}

/// True if the first bytes of a file (at least 140, if there are that many) may be DICOM: after its preamble, or an element of
/// group 2 or 8 at the start.
pub(super) fn looks_like_dicom(bytes: &[u8]) -> bool {
    if start_of(bytes) > 0 {
        return true;
    }
    let Some(head) = bytes.first_chunk::<8>() else { return false };
    let tag = match head[..2] {
        [2 | 8, 0] => Tag(u16::from(head[0]), u16::from_le_bytes([head[2], head[3]])),
        [0, 8] => Tag(8, u16::from_be_bytes([head[2], head[3]])),
        _ => return false,
    };
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    tag.1 <= 0x0070 && (Vr::of([head[4], head[5]]).is_some() || length <= 1 << 16)
}

/// Reads the file meta information; empty if the file has none.
pub(super) fn parse_meta(bytes: &[u8], total: usize) -> Result<Meta, Stop> {
    let mut reader = Reader { bytes, total, offset: start_of(bytes) };
    let mut elements = Vec::new();
    while reader.total > reader.offset && reader.peek(2)? == [2, 0] {
        let (tag, vr, length, _) = reader.element_head(Encoding::EXPLICIT)?;
        let value = reader.take(length as usize).map_err(|stop| within(stop, tag))?;
        elements.push(Element { tag, vr, value: Value::Bytes(value.to_vec()) });
    }
    let data = DataSet::from_parts(elements, Charset::default());
    let syntax = data.uid(Tag::TRANSFER_SYNTAX_UID).map(str::to_owned);
    Ok(Meta { data, end: reader.offset, syntax })
}

/// Adds the tag to a fault that names no element yet.
fn within(stop: Stop, tag: Tag) -> Stop {
    match stop {
        Stop::Fault(None, why) => Stop::Fault(Some(tag), why),
        stop => stop,
    }
}

/// The encoding of the elements at `start`: as the transfer syntax says, but with value representations only if the first
/// element has them. Without a transfer syntax the first element also decides the byte order.
fn encoding_at(bytes: &[u8], start: usize, syntax: Option<Syntax>) -> Encoding {
    let head = bytes.get(start..).unwrap_or_default();
    let explicit = head.get(4..6).is_some_and(|letters| Vr::of([letters[0], letters[1]]).is_some());
    let big_endian = match syntax {
        Some(syntax) => syntax == Syntax::BigEndian,
        None => head.starts_with(&[0]),
    };
    Encoding { explicit, big_endian }
}

/// The transfer syntax that the first element shows, for files that do not name theirs.
pub(super) fn guess_syntax(bytes: &[u8], start: usize) -> &'static str {
    match encoding_at(bytes, start, None) {
        Encoding { big_endian: true, .. } => "1.2.840.10008.1.2.2",
        Encoding { explicit: true, .. } => "1.2.840.10008.1.2.1",
        Encoding { .. } => "1.2.840.10008.1.2",
    }
}

/// Reads the elements from `start` to the end of the file or to its pixels.
pub(super) fn parse_data(
    bytes: &[u8],
    start: usize,
    total: usize,
    syntax: Syntax,
) -> Result<(DataSet, Option<PixelElement>), Stop> {
    let encoding = encoding_at(bytes, start, Some(syntax));
    let mut parser = Parser { reader: Reader { bytes, total, offset: start }, left: ELEMENT_LIMIT, levels: Vec::new() };
    parser.levels.push(Level::Data { elements: Vec::new(), charset: Charset::default(), end: None, encoding });
    loop {
        if let Some(done) = parser.step()? {
            return Ok(done);
        }
    }
}

struct Parser<'a> {
    reader: Reader<'a>,
    /// Elements and items that may still come.
    left: usize,
    levels: Vec<Level>,
}

type ParsedData = Option<(DataSet, Option<PixelElement>)>;

impl Parser<'_> {
    /// Reads one element, item or delimiter. Returns the finished data set at the end.
    fn step(&mut self) -> Result<ParsedData, Stop> {
        let depth = self.levels.len();
        let start = self.reader.offset;
        match self.levels.last() {
            Some(Level::Data { end, encoding, .. }) => {
                let (end, encoding) = (*end, *encoding);
                if end.is_some_and(|end| start >= end) {
                    self.close_data()?;
                    return Ok(None);
                }
                // Fewer bytes than an element at the very end are padding.
                if depth == 1 && self.reader.total.saturating_sub(start) < 8 {
                    return Ok(self.finish(None));
                }
                self.element(encoding, depth == 1)
            }
            Some(Level::Items { tag, end, encoding, .. }) => {
                let (tag, end, encoding) = (*tag, *end, *encoding);
                if end.is_some_and(|end| start >= end) {
                    self.close_items();
                } else {
                    self.item(tag, end, encoding)?;
                }
                Ok(None)
            }
            None => Err(Stop::Fault(None, "no data set".to_owned())),
        }
    }

    fn count(&mut self, tag: Tag) -> Result<(), Stop> {
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return fault(tag, format!("more than {ELEMENT_LIMIT} elements")),
        };
        Ok(())
    }

    /// Reads an element of a data set, or opens its sequence.
    fn element(&mut self, encoding: Encoding, is_root: bool) -> Result<ParsedData, Stop> {
        let before = self.reader.offset;
        let (tag, vr, length, form) = self.reader.element_head(encoding)?;
        self.count(tag)?;
        if tag == Tag::ITEM_END || tag == Tag::SEQUENCE_END {
            if is_root {
                // A stray delimiter.
                return Ok(None);
            }
            if tag == Tag::SEQUENCE_END {
                // The item lacks its own delimiter.
                self.reader.offset = before;
            }
            self.close_data()?;
            return Ok(None);
        }
        let pixels = matches!(tag, Tag::PIXEL_DATA | Tag::FLOAT_PIXEL_DATA | Tag::DOUBLE_FLOAT_PIXEL_DATA);
        if is_root && pixels {
            let length = (length != UNDEFINED).then_some(length as usize);
            return Ok(self.finish(Some(PixelElement { tag, offset: self.reader.offset, length, vr })));
        }
        if length == UNDEFINED && matches!(vr, Vr::OB | Vr::OW) && form.explicit {
            self.skip_fragments(tag, form)?;
            return Ok(None);
        }
        if length == UNDEFINED || self.is_sequence(tag, vr, length, form)? {
            // PS3.5 section 6.2.2: the items of an element of unknown representation are implicit.
            let unknown = vr == Vr::UN && form.explicit;
            let encoding = if unknown { Encoding::IMPLICIT } else { encoding };
            return self.open_sequence(tag, length, encoding).map(|()| None);
        }
        let mut value = self.reader.take(length as usize).map_err(|stop| within(stop, tag))?.to_vec();
        if encoding.big_endian && vr.width() > 1 {
            value.chunks_exact_mut(vr.width()).for_each(<[u8]>::reverse);
        }
        if let Some(Level::Data { elements, charset, .. }) = self.levels.last_mut() {
            if tag == Tag::SPECIFIC_CHARACTER_SET {
                *charset = Charset::of(&value);
            }
            elements.push(Element { tag, vr, value: Value::Bytes(value) });
        }
        Ok(None)
    }

    /// True for sequences of defined length, recognised by the table and their first item where the file says nothing.
    fn is_sequence(&self, tag: Tag, vr: Vr, length: u32, form: Encoding) -> Result<bool, Stop> {
        if vr == Vr::SQ && form.explicit {
            return Ok(true);
        }
        if tag.vr() != Some(Vr::SQ) || !matches!(vr, Vr::SQ | Vr::UN) {
            return Ok(false);
        }
        let item = if form.big_endian { [0xff, 0xfe, 0xe0, 0] } else { [0xfe, 0xff, 0, 0xe0] };
        Ok(length == 0 || self.reader.peek(4).map_err(|stop| within(stop, tag))? == item)
    }

    fn open_sequence(&mut self, tag: Tag, length: u32, encoding: Encoding) -> Result<(), Stop> {
        if self.levels.len() >= 2 * DEPTH_LIMIT {
            return fault(tag, format!("sequences nested more than {DEPTH_LIMIT} deep"));
        }
        let end = self.end_of(tag, length)?;
        self.levels.push(Level::Items { tag, items: Vec::new(), end, encoding });
        Ok(())
    }

    /// The end of a value of this length, `None` if undefined.
    fn end_of(&self, tag: Tag, length: u32) -> Result<Option<usize>, Stop> {
        if length == UNDEFINED {
            return Ok(None);
        }
        let left = self.reader.total.saturating_sub(self.reader.offset);
        if length as usize > left {
            return fault(tag, format!("{length} bytes expected, {left} left"));
        }
        Ok(Some(self.reader.offset + length as usize))
    }

    /// Reads an item's head, or the delimiter of the sequence `tag`.
    fn item(&mut self, tag: Tag, end: Option<usize>, encoding: Encoding) -> Result<(), Stop> {
        self.count(tag)?;
        let head = self.reader.tag(encoding.big_endian).and_then(|t| Ok((t, self.reader.u32(encoding.big_endian)?)));
        let (item, length) = head.map_err(|stop| within(stop, tag))?;
        match item {
            Tag::ITEM => {
                let end = self.end_of(tag, length)?;
                let charset = self.levels.iter().rev().find_map(|level| match level {
                    Level::Data { charset, .. } => Some(*charset),
                    Level::Items { .. } => None,
                });
                let charset = charset.unwrap_or_default();
                self.levels.push(Level::Data { elements: Vec::new(), charset, end, encoding });
                Ok(())
            }
            Tag::SEQUENCE_END => {
                self.close_items();
                Ok(())
            }
            // An item delimiter after an item of defined length is superfluous.
            Tag::ITEM_END => Ok(()),
            _ => fault(tag, format!("{item} where an item of the sequence is expected, ending at {end:?}")),
        }
    }

    /// Skips the fragments of pixel data within an item, such as an icon's.
    fn skip_fragments(&mut self, tag: Tag, encoding: Encoding) -> Result<(), Stop> {
        loop {
            self.count(tag)?;
            let item = self.reader.tag(encoding.big_endian)?;
            let length = self.reader.u32(encoding.big_endian)?;
            match item {
                Tag::ITEM => self.reader.take(length as usize).map(|_| ()).map_err(|stop| within(stop, tag))?,
                Tag::SEQUENCE_END => return Ok(()),
                _ => return fault(tag, format!("{item} where a fragment is expected")),
            }
        }
    }

    /// Adds the finished item to its sequence.
    fn close_data(&mut self) -> Result<(), Stop> {
        let Some(Level::Data { elements, charset, .. }) = self.levels.pop() else { return Ok(()) };
        match self.levels.last_mut() {
            Some(Level::Items { items, .. }) => items.push(DataSet::from_parts(elements, charset)),
            _ => return Err(Stop::Fault(None, "an item outside of a sequence".to_owned())),
        }
        Ok(())
    }

    /// Adds the finished sequence to its data set.
    fn close_items(&mut self) {
        let Some(Level::Items { tag, items, .. }) = self.levels.pop() else { return };
        if let Some(Level::Data { elements, .. }) = self.levels.last_mut() {
            elements.push(Element { tag, vr: Vr::SQ, value: Value::Items(items) });
        }
    }

    /// The root data set.
    fn finish(&mut self, pixels: Option<PixelElement>) -> ParsedData {
        match self.levels.pop() {
            Some(Level::Data { elements, charset, .. }) => Some((DataSet::from_parts(elements, charset), pixels)),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
