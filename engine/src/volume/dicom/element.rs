//! Data sets: ordered elements with nested sequences, and typed reading and writing of their values.

use super::charset::Charset;
use super::{Tag, Vr};

/// The value of an element.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The bytes as stored, little-endian whatever the file's byte order.
    Bytes(Vec<u8>),
    /// The items of a sequence.
    Items(Vec<DataSet>),
}

/// An attribute: tag, value representation and value.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Group and element number.
    pub tag: Tag,
    /// Its value representation; [`Vr::UN`] where an implicit file holds a tag that is not in the table.
    pub vr: Vr,
    /// Its value.
    pub value: Value,
}

impl Element {
    /// The stored bytes; empty for a sequence.
    pub fn bytes(&self) -> &[u8] {
        match &self.value {
            Value::Bytes(bytes) => bytes,
            Value::Items(_) => &[],
        }
    }

    /// The value representation, from the table where the file says none.
    fn known_vr(&self) -> Vr {
        if self.vr == Vr::UN { self.tag.vr().unwrap_or(Vr::UN) } else { self.vr }
    }

    /// All numbers of the value; none if a text among them is not a number, because the others would change their places.
    fn numbers(&self) -> Vec<f64> {
        let bytes = self.bytes();
        macro_rules! read {
            ($t:ty) => {
                bytes.as_chunks().0.iter().map(|&b| <$t>::from_le_bytes(b) as f64).collect()
            };
        }
        #[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
        match self.known_vr() {
            Vr::US | Vr::OW => read!(u16),
            Vr::SS => read!(i16),
            Vr::UL | Vr::OL => read!(u32),
            Vr::SL => read!(i32),
            Vr::UV | Vr::OV => read!(u64),
            Vr::SV => read!(i64),
            Vr::FL | Vr::OF => read!(f32),
            Vr::FD | Vr::OD => read!(f64),
            _ => {
                let end = bytes.iter().rposition(|b| !matches!(b, b'\\' | b' ' | 0)).map_or(0, |index| index + 1);
                let numbers = bytes[..end].split(|&b| b == b'\\').map(number_of_text);
                numbers.collect::<Option<Vec<f64>>>().unwrap_or_default()
            }
        }
    }
}

/// The number in a decimal or integer string, without surrounding blanks and zero bytes.
fn number_of_text(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Elements in ascending order of their tags. If a tag occurs twice, the last element is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataSet {
    elements: Vec<Element>,
    charset: Charset,
}

impl DataSet {
    /// An empty data set. Text is written as UTF-8 (`ISO_IR 192`); put [`Tag::SPECIFIC_CHARACTER_SET`] first to say so.
    pub fn new() -> Self {
        Self { elements: Vec::new(), charset: Charset::UTF_8 }
    }

    /// A parsed data set, from its elements in file order and the character set of their text.
    pub(super) fn from_parts(mut elements: Vec<Element>, charset: Charset) -> Self {
        if !elements.is_sorted_by(|a, b| a.tag < b.tag) {
            elements.sort_by_key(|element| element.tag);
            // If a tag occurs twice, the last element is used.
            elements.reverse();
            elements.dedup_by_key(|element| element.tag);
            elements.reverse();
        }
        Self { elements, charset }
    }

    /// The elements in ascending order of their tags.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The element of a tag, also if its value is empty.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.binary_search_by_key(&tag, |element| element.tag).ok().map(|index| &self.elements[index])
    }

    /// The stored bytes of an element; `None` if it is missing, empty or a sequence.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        self.get(tag).map(Element::bytes).filter(|bytes| !bytes.is_empty())
    }

    /// The values of a text element, decoded and trimmed. Empty if it is missing; a value may be empty.
    pub fn texts(&self, tag: Tag) -> Vec<String> {
        let Some(element) = self.get(tag) else { return Vec::new() };
        let Some(bytes) = self.bytes(tag) else { return Vec::new() };
        let vr = element.known_vr();
        let text = if vr.has_charset() { self.charset.decode(bytes) } else { Charset::default().decode(bytes) };
        if matches!(vr, Vr::ST | Vr::LT | Vr::UT | Vr::UR) {
            return vec![text.trim_end_matches([' ', '\0']).to_owned()];
        }
        text.split('\\').map(|value| value.trim_matches([' ', '\0']).to_owned()).collect()
    }

    /// The first value of a text element, decoded and trimmed; `None` if it is missing or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        self.texts(tag).into_iter().next().filter(|text| !text.is_empty())
    }

    /// A UID; `None` if it is missing, empty or not text.
    pub fn uid(&self, tag: Tag) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes(tag)?).ok()?;
        Some(text.trim_matches([' ', '\0'])).filter(|text| !text.is_empty())
    }

    /// Every number of an element, from text (DS, IS) or binary. Empty if it is missing.
    pub fn numbers(&self, tag: Tag) -> Vec<f64> {
        self.get(tag).map(Element::numbers).unwrap_or_default()
    }

    /// The first number of an element.
    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag).first().copied()
    }

    /// The first number of an element if it is whole and not negative.
    pub fn count(&self, tag: Tag) -> Option<usize> {
        self.number(tag).filter(|n| *n >= 0.0 && n.fract() == 0.0 && *n <= 2e15).map(|n| n as usize)
    }

    /// Exactly `N` numbers, or `None`.
    pub fn array<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        self.numbers(tag).try_into().ok()
    }

    /// The items of a sequence; none if it is missing.
    pub fn items(&self, tag: Tag) -> &[DataSet] {
        match self.get(tag).map(|element| &element.value) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// The first item of a sequence.
    pub fn item(&self, tag: Tag) -> Option<&DataSet> {
        self.items(tag).first()
    }

    /// A private tag of a creator. `element` is its last two hexadecimal digits, such as `0x10` for CSA `(0029,xx10)`. `None`
    /// if the creator reserved no block of the group. In a group without any creator the first block is assumed, because some
    /// programs drop the creators and keep the elements.
    pub fn private_tag(&self, group: u16, creator: &str, element: u8) -> Option<Tag> {
        let blocks = self.elements.iter().filter(|e| e.tag.0 == group && (0x10..=0xff).contains(&e.tag.1));
        let mut of_creator = blocks.filter(|e| {
            let name = e.bytes().trim_ascii_end();
            name.strip_suffix(b"\0").unwrap_or(name).eq_ignore_ascii_case(creator.as_bytes())
        });
        let anonymous = || {
            let tag = Tag(group, 0x1000 | u16::from(element));
            let named = self.elements.iter().any(|e| e.tag.0 == group && (0x10..=0xff).contains(&e.tag.1));
            self.get(tag).filter(|_| !named).map(|e| e.tag)
        };
        of_creator.next().map(|e| Tag(group, e.tag.1 << 8 | u16::from(element))).or_else(anonymous)
    }

    /// Adds or replaces an element.
    pub fn put(&mut self, tag: Tag, vr: Vr, value: Value) {
        let element = Element { tag, vr, value };
        match self.elements.binary_search_by_key(&tag, |element| element.tag) {
            Ok(at) => self.elements[at] = element,
            Err(at) => self.elements.insert(at, element),
        }
    }

    /// Adds or replaces a text element with the table's value representation. Several values are joined by `\`.
    pub fn put_text(&mut self, tag: Tag, text: &str) {
        self.put(tag, tag.vr().unwrap_or(Vr::UN), Value::Bytes(text.as_bytes().to_vec()));
    }

    /// Adds or replaces numbers of type US.
    pub fn put_u16(&mut self, tag: Tag, values: &[u16]) {
        self.put(tag, Vr::US, Value::Bytes(values.iter().flat_map(|value| value.to_le_bytes()).collect()));
    }

    /// Adds or replaces numbers of type UL.
    pub fn put_u32(&mut self, tag: Tag, values: &[u32]) {
        self.put(tag, Vr::UL, Value::Bytes(values.iter().flat_map(|value| value.to_le_bytes()).collect()));
    }

    /// Adds or replaces a sequence.
    pub fn put_items(&mut self, tag: Tag, items: Vec<DataSet>) {
        self.put(tag, Vr::SQ, Value::Items(items));
    }

    /// Copies an element unchanged, except that text becomes UTF-8. Does nothing if `from` lacks the element.
    pub fn copy(&mut self, from: &DataSet, tag: Tag) {
        let Some(element) = from.get(tag) else { return };
        let mut element = element.clone();
        element.vr = element.known_vr();
        if let Value::Bytes(bytes) = &mut element.value
            && element.vr.has_charset()
        {
            *bytes = from.charset.decode(bytes).into_bytes();
        }
        self.put(tag, element.vr, element.value);
    }
}
