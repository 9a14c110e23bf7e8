//! Text in the character sets of SpecificCharacterSet, code extensions of ISO 2022 included (PS3.3 C.12.1.1.2).

use encoding_rs::Encoding;

/// The character sets of a data set: the first for text without escapes, the others reachable by escape sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charset {
    initial: Code,
    /// True if the element has several values: escape sequences switch between them.
    extended: bool,
}

/// One coded character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Ascii,
    Latin1,
    /// A code page of encoding_rs.
    Page(&'static Encoding),
    /// JIS X 0201: katakana in the upper half.
    Katakana,
    /// JIS X 0208, two bytes per character below 0x80.
    Jis208,
    /// JIS X 0212, two bytes per character below 0x80.
    Jis212,
}

/// Defined terms without and with code extensions share their number.
const TERMS: &[(&str, Code)] = &[
    ("100", Code::Latin1),
    ("101", Code::Page(encoding_rs::ISO_8859_2)),
    ("109", Code::Page(encoding_rs::ISO_8859_3)),
    ("110", Code::Page(encoding_rs::ISO_8859_4)),
    ("144", Code::Page(encoding_rs::ISO_8859_5)),
    ("127", Code::Page(encoding_rs::ISO_8859_6)),
    ("126", Code::Page(encoding_rs::ISO_8859_7)),
    ("138", Code::Page(encoding_rs::ISO_8859_8)),
    ("148", Code::Page(encoding_rs::WINDOWS_1254)),
    ("203", Code::Page(encoding_rs::ISO_8859_15)),
    ("166", Code::Page(encoding_rs::WINDOWS_874)),
    ("13", Code::Katakana),
    ("87", Code::Jis208),
    ("159", Code::Jis212),
    ("149", Code::Page(encoding_rs::EUC_KR)),
    ("58", Code::Page(encoding_rs::GBK)),
    ("192", Code::Page(encoding_rs::UTF_8)),
];

/// Escape sequences (without the escape character) and what they select.
const ESCAPES: &[(&[u8], Code)] = &[
    (b"(B", Code::Ascii),
    (b"-A", Code::Latin1),
    (b"-B", Code::Page(encoding_rs::ISO_8859_2)),
    (b"-C", Code::Page(encoding_rs::ISO_8859_3)),
    (b"-D", Code::Page(encoding_rs::ISO_8859_4)),
    (b"-L", Code::Page(encoding_rs::ISO_8859_5)),
    (b"-G", Code::Page(encoding_rs::ISO_8859_6)),
    (b"-F", Code::Page(encoding_rs::ISO_8859_7)),
    (b"-H", Code::Page(encoding_rs::ISO_8859_8)),
    (b"-M", Code::Page(encoding_rs::WINDOWS_1254)),
    (b"-b", Code::Page(encoding_rs::ISO_8859_15)),
    (b"-T", Code::Page(encoding_rs::WINDOWS_874)),
    (b"(J", Code::Katakana),
    (b")I", Code::Katakana),
    (b"$B", Code::Jis208),
    (b"$(D", Code::Jis212),
    (b"$)C", Code::Page(encoding_rs::EUC_KR)),
    (b"$)A", Code::Page(encoding_rs::GBK)),
];

impl Default for Charset {
    /// ASCII.
    fn default() -> Self {
        Self { initial: Code::Ascii, extended: false }
    }
}

impl Charset {
    pub const UTF_8: Self = Self { initial: Code::Page(encoding_rs::UTF_8), extended: false };

    /// The character sets of the value of SpecificCharacterSet. An unknown term counts as ASCII.
    pub fn of(value: &[u8]) -> Self {
        let text = String::from_utf8_lossy(value);
        let mut terms = text.split('\\').map(|term| term.trim_matches([' ', '\0']));
        let initial = terms.next().map_or(Code::Ascii, Code::of_term);
        Self { initial, extended: terms.next().is_some() }
    }

    /// Decodes text. Bytes that mean nothing become U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> String {
        if bytes.is_ascii() && (!self.extended || !bytes.contains(&0x1b)) && !self.initial.is_double() {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        if !self.extended && !bytes.contains(&0x1b) {
            return self.initial.decode(bytes);
        }
        let (mut text, mut code, mut rest) = (String::new(), self.initial, bytes);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(&[0x1b])
                && let Some((escape, next)) = ESCAPES.iter().find(|(escape, _)| after.starts_with(escape))
            {
                (code, rest) = (*next, &after[escape.len()..]);
                continue;
            }
            // An unknown escape is text, so at least one byte is taken.
            let escape = rest.iter().skip(1).position(|&b| b == 0x1b).map_or(rest.len(), |index| index + 1);
            // A delimiter brings the initial set back, except within two-byte characters.
            let delimiter = |b: &u8| matches!(b, b'\\' | b'^' | b'=' | b'\r' | b'\n' | b'\t' | 0x0c);
            let delimited = rest[..escape].iter().position(delimiter).filter(|_| !code.is_double());
            let end = delimited.map_or(escape, |index| index + 1);
            text += &code.decode(&rest[..end]);
            rest = &rest[end..];
            if delimited.is_some() {
                code = self.initial;
            }
        }
        text
    }
}

impl Code {
    fn of_term(term: &str) -> Self {
        let term = term.to_ascii_uppercase();
        if term == "GB18030" {
            return Self::Page(encoding_rs::GB18030);
        }
        if term == "GBK" {
            return Self::Page(encoding_rs::GBK);
        }
        let number = term.rsplit([' ', '_']).next().unwrap_or_default();
        TERMS.iter().find(|(name, _)| *name == number).map_or(Self::Ascii, |(_, code)| *code)
    }

    /// True if every character has two bytes below 0x80.
    fn is_double(self) -> bool {
        matches!(self, Self::Jis208 | Self::Jis212)
    }

    fn decode(self, bytes: &[u8]) -> String {
        let page =
            |encoding: &'static Encoding, bytes: &[u8]| encoding.decode_without_bom_handling(bytes).0.into_owned();
        match self {
            Self::Ascii => {
                bytes.iter().map(|&b| if b < 0x80 { b as char } else { char::REPLACEMENT_CHARACTER }).collect()
            }
            Self::Latin1 => bytes.iter().map(|&b| b as char).collect(),
            Self::Page(encoding) => page(encoding, bytes),
            Self::Katakana => {
                let katakana = |b: u8| match b {
                    0xa1..=0xdf => char::from_u32(0xff61 + u32::from(b - 0xa1)),
                    0..0x80 => Some(b as char),
                    _ => None,
                };
                bytes.iter().map(|&b| katakana(b).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
            }
            // EUC-JP holds both sets in its upper half.
            Self::Jis208 => page(encoding_rs::EUC_JP, &bytes.iter().map(|b| b | 0x80).collect::<Vec<_>>()),
            Self::Jis212 => {
                let shifted = bytes
                    .chunks(2)
                    .flat_map(|pair| std::iter::once(0x8f).chain(pair.iter().map(|b| b | 0x80)).collect::<Vec<_>>());
                page(encoding_rs::EUC_JP, &shifted.collect::<Vec<_>>())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The examples of PS3.5 annexes H, I and J.
    #[test]
    fn names_of_the_standard_are_decoded() {
        let decode = |terms: &str, bytes: &[u8]| Charset::of(terms.as_bytes()).decode(bytes);
        let yamada = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(decode("\\ISO 2022 IR 87", yamada), "Yamada^Tarou=山田^太郎=やまだ^たろう");
        let katakana = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J";
        assert_eq!(decode("ISO 2022 IR 13\\ISO 2022 IR 87", katakana), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎");
        let hong = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
        assert_eq!(decode("\\ISO 2022 IR 149", hong), "Hong^Gildong=洪^吉洞=홍^길동");
        assert_eq!(decode("ISO_IR 192", "Wang^XiaoDong=王^小東".as_bytes()), "Wang^XiaoDong=王^小東");
        assert_eq!(decode("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"), "Wang^XiaoDong=王^小东");
        assert_eq!(decode("ISO_IR 100", b"Buc^J\xe9r\xf4me"), "Buc^Jérôme");
        assert_eq!(decode("ISO_IR 144", b"\xbb\xee\xda"), "Люк");
    }

    #[test]
    fn invalid_bytes_become_replacement_characters() {
        assert_eq!(Charset::default().decode(b"M\xfcller"), "M\u{fffd}ller");
        assert_eq!(Charset::of(b"ISO_IR 999").decode(b"a\xfc"), "a\u{fffd}");
        assert_eq!(Charset::UTF_8.decode(b"a\xffb"), "a\u{fffd}b");
        // An escape that is not known stays in the text, and nothing loops.
        assert_eq!(Charset::of(b"\\ISO 2022 IR 87").decode(b"\x1bZ\x1b"), "\u{1b}Z\u{1b}");
    }
}
