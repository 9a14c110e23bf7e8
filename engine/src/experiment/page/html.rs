//! Pieces of HTML: escaped text, links, pictures, lists.

use std::fmt::Write;

use super::Figure;

/// Text for an element or a quoted attribute, in HTML and in SVG. Control characters but the line break become spaces.
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

/// A relative path as a link: what has a meaning in an address (`:` among it, so that no scheme remains) is encoded.
pub(super) fn href(path: &str) -> String {
    let mut out = String::new();
    // A leading slash would leave the page's folder.
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
    let number = |at: usize| png.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    (png.get(12..16)? == b"IHDR").then_some([number(16)?, number(20)?])
}

/// A picture with its caption; the picture leads to the file, where it has its full size.
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

/// Names and what they stand for.
pub(super) fn facts(out: &mut String, facts: impl Iterator<Item = (String, String)>) {
    out.push_str("<dl>\n");
    for (name, value) in facts {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(&name), escape(&value));
    }
    out.push_str("</dl>\n");
}

/// A number with `decimals`, or a dash.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "–".into() }
}
