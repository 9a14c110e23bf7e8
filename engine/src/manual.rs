//! The engine's manual as text. `amlp manual` prints its sections, and the viewer shows them.

/// `MANUAL.md`, in Markdown.
pub const TEXT: &str = include_str!("../MANUAL.md");

/// A heading of a Markdown text with everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// 1 for `#`, 2 for `##`, and so on.
    pub level: usize,
    /// The heading without its marks.
    pub title: &'a str,
    /// From the heading to the next one of the same or a higher level.
    pub text: &'a str,
}

impl Section<'_> {
    /// True if the section contains every word of the query, ignoring case.
    pub fn matches(&self, query: &str) -> bool {
        let text = self.text.to_lowercase();
        query.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

/// Every section of a Markdown text, in order. A subsection has an entry of its own and is also part of its section's text.
pub fn sections(text: &str) -> Vec<Section<'_>> {
    let headings = headings(text);
    let end_of = |at: usize, level: usize| {
        let next = headings[at + 1..].iter().find(|(_, other, _)| *other <= level);
        next.map_or(text.len(), |(start, ..)| *start)
    };
    let whole = headings.iter().enumerate();
    whole.map(|(at, &(start, level, title))| Section { level, title, text: &text[start..end_of(at, level)] }).collect()
}

/// Byte offset, level and title of every heading, ignoring code blocks.
fn headings(text: &str) -> Vec<(usize, usize, &str)> {
    let (mut found, mut offset, mut code) = (Vec::new(), 0, false);
    for line in text.split_inclusive('\n') {
        code ^= line.starts_with("```");
        let level = line.bytes().take_while(|&byte| byte == b'#').count();
        if !code && level > 0 && line[level..].starts_with(' ') {
            found.push((offset, level, line[level..].trim()));
        }
        offset += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_include_their_subsections_and_code_blocks_have_no_headings() {
        let text = "# A\na\n## B\n```sh\n# no heading\n```\n### C\nc\n## D\n";
        let found: Vec<(usize, &str, &str)> = sections(text).iter().map(|s| (s.level, s.title, s.text)).collect();
        let b = "## B\n```sh\n# no heading\n```\n### C\nc\n";
        assert_eq!(found, [(1, "A", text), (2, "B", b), (3, "C", "### C\nc\n"), (2, "D", "## D\n")]);
        assert_eq!(sections("no heading\n#tag\n"), []);
    }

    #[test]
    fn a_section_is_found_by_its_words() {
        let section = Section { level: 1, title: "A", text: "# A\nDevice memory\n" };
        assert!(section.matches("memory DEVICE") && section.matches("") && !section.matches("memory disk"));
    }
}
