//! Pieces of HTML: escaped text, links, pictures, lists.

use std::fmt::Write;

use super::Figure;

/// Escapes text for an element or a quoted attribute in HTML and SVG. Control characters except line breaks become spaces.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Encodes a relative path for a link. `:` is encoded too, so that the path cannot be taken for a URL scheme.
pub(crate) fn href(path: &str) -> String {
    let mut out = String::new();
    // A leading slash would lead out of the page's folder.
    for byte in path.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Width and height in the header of a PNG.
pub(super) fn png_size(png: &[u8]) -> Option<[u32; 2]> {
    let number = |index: usize| png.get(index..index + 4)?.try_into().ok().map(u32::from_be_bytes);
    (png.get(12..16)? == b"IHDR").then_some([number(16)?, number(20)?])
}

/// A picture with its caption, linked to the full-size file.
pub fn figure(out: &mut String, figure: &Figure) {
    let size = figure.size.map(|[w, h]| format!(" width=\"{w}\" height=\"{h}\"")).unwrap_or_default();
    let _ = writeln!(
        out,
        "<figure><div class=\"scroll\"><a href=\"{0}\"><img src=\"{0}\" alt=\"{1}\"{size}></a></div>\n\
         <figcaption>{2}</figcaption></figure>",
        href(&figure.file),
        escape(&figure.alt),
        escape(&figure.caption)
    );
}

/// A picture inside the page, with its caption.
pub fn embedded(out: &mut String, png: &[u8], alt: &str, caption: &str) {
    let size = png_size(png).map(|[w, h]| format!(" width=\"{w}\" height=\"{h}\"")).unwrap_or_default();
    let _ = writeln!(
        out,
        "<figure><img src=\"data:image/png;base64,{}\" alt=\"{}\"{size}>\n<figcaption>{}</figcaption></figure>",
        base64(png),
        escape(alt),
        escape(caption)
    );
}

/// Bytes in base 64 (RFC 4648, section 4), padded.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, index| bits << 8 | u32::from(chunk.get(index).copied().unwrap_or(0)));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            out.push(if digit > chunk.len() { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    out
}

/// Writes a list of names and values.
pub(crate) fn facts(out: &mut String, facts: impl Iterator<Item = (String, String)>) {
    out.push_str("<dl>\n");
    for (name, value) in facts {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(&name), escape(&value));
    }
    out.push_str("</dl>\n");
}

/// A number with `decimals` decimals, or a dash if it is not finite.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "–".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 4648, section 10, and bytes beyond ASCII.
    #[test]
    fn base_64_matches_the_standards_vectors() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"fooba", "Zm9vYmE="),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xff\xfe\x00", "+//+AA=="),
        ] {
            assert_eq!(base64(bytes), text);
        }
    }

    #[test]
    fn an_embedded_picture_needs_no_file() {
        let png = crate::draw::Canvas::new(3, 2).to_png().unwrap_or_default();
        let mut out = String::new();
        embedded(&mut out, &png, "a \"slice\"", "1 < 2");
        assert!(out.starts_with("<figure><img src=\"data:image/png;base64,iVBORw0KGgo"), "{out}");
        assert!(
            out.contains("alt=\"a &quot;slice&quot;\" width=\"3\" height=\"2\"") && out.contains("1 &lt; 2"),
            "{out}"
        );
    }
}
