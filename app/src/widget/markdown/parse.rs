//! From Markdown to blocks that can be drawn.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// How a run of text is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    #[default]
    Plain,
    Strong,
    Code,
}

/// A piece of text in one style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub text: String,
    pub style: Style,
    pub link: Option<String>,
}

/// Text that wraps as a whole.
pub(super) type Line = Vec<Run>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// 1 for the largest.
    Heading(usize, Line),
    Text(Line),
    Code(String),
    /// Rows of cells; the first row is the head.
    Table(Vec<Vec<Line>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Lists around it.
    pub depth: usize,
    /// Bullet or number, on the first block of a list's item.
    pub marker: Option<String>,
    pub content: Content,
}

/// Parses headings, paragraphs, lists, tables, code, strong text and links. Quotes, pictures and HTML are left out.
pub(super) fn parse(text: &str) -> Vec<Block> {
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        reader.take(event);
    }
    reader.blocks
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    line: Line,
    style: Style,
    link: Option<String>,
    /// The next number of each open list; none for bullets.
    lists: Vec<Option<u64>>,
    marker: Option<String>,
    code: Option<String>,
    table: Vec<Vec<Line>>,
    /// Inside a picture, whose description is skipped.
    picture: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.push(&text, self.style),
            },
            Event::Code(text) => self.push(&text, Style::Code),
            Event::SoftBreak => self.push(" ", self.style),
            Event::HardBreak => self.push("\n", self.style),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::List(first) => {
                // The text of an item with a nested list.
                self.finish_line();
                self.lists.push(first);
            }
            Tag::Item => {
                let number = self.lists.last_mut().and_then(Option::as_mut);
                self.marker = Some(number.map_or_else(
                    || "\u{2022}".to_owned(),
                    |number| {
                        *number += 1;
                        format!("{}.", *number - 1)
                    },
                ));
            }
            Tag::CodeBlock(_) => self.code = Some(String::new()),
            Tag::TableHead | Tag::TableRow => self.table.push(Vec::new()),
            Tag::Strong => self.style = Style::Strong,
            Tag::Image { .. } => self.picture = true,
            Tag::Link { dest_url, .. } => self.link = Some(dest_url.into_string()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                let line = std::mem::take(&mut self.line);
                self.add(Content::Heading(size_of(level), line));
            }
            TagEnd::Paragraph | TagEnd::Item => self.finish_line(),
            TagEnd::List(_) => drop(self.lists.pop()),
            TagEnd::CodeBlock => {
                if let Some(code) = self.code.take() {
                    self.add(Content::Code(code.trim_end().to_owned()));
                }
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.line);
                if let Some(row) = self.table.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                let table = std::mem::take(&mut self.table);
                self.add(Content::Table(table));
            }
            TagEnd::Strong => self.style = Style::Plain,
            TagEnd::Image => self.picture = false,
            TagEnd::Link => self.link = None,
            _ => {}
        }
    }

    fn push(&mut self, text: &str, style: Style) {
        if !self.picture {
            self.line.push(Run { text: text.to_owned(), style, link: self.link.clone() });
        }
    }

    fn finish_line(&mut self) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.add(Content::Text(line));
        }
    }

    fn add(&mut self, content: Content) {
        self.blocks.push(Block { depth: self.lists.len(), marker: self.marker.take(), content });
    }
}

fn size_of(level: HeadingLevel) -> usize {
    level as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, style: Style) -> Run {
        Run { text: text.to_owned(), style, link: None }
    }

    fn block(depth: usize, marker: Option<&str>, content: Content) -> Block {
        Block { depth, marker: marker.map(str::to_owned), content }
    }

    #[test]
    fn headings_paragraphs_and_styles() {
        let link = Run { text: "the site".into(), style: Style::Plain, link: Some("https://a.b".into()) };
        let line = vec![
            run("One", Style::Plain),
            run(" ", Style::Plain),
            run("two", Style::Strong),
            run(" ", Style::Plain),
            run("--three", Style::Code),
            run(" ", Style::Plain),
            link,
        ];
        let expected = [
            block(0, None, Content::Heading(2, vec![run("Title", Style::Plain)])),
            block(0, None, Content::Text(line)),
        ];
        assert_eq!(parse("![a picture](a.png)\n"), []);
        assert_eq!(parse("## Title\n\nOne\n**two** `--three` [the site](https://a.b)\n"), expected);
    }

    #[test]
    fn lists_code_and_tables() {
        let text = |text: &str| Content::Text(vec![run(text, Style::Plain)]);
        let cell = |text: &str| vec![run(text, Style::Plain)];
        let table = vec![vec![cell("a"), cell("b")], vec![cell("1"), Vec::new()]];
        let expected = [
            block(1, Some("1."), text("first")),
            block(2, Some("\u{2022}"), text("inner")),
            block(1, Some("2."), text("second")),
            block(0, None, Content::Code("# code\n| x".into())),
            block(0, None, Content::Table(table)),
        ];
        let written = "1. first\n   - inner\n2. second\n\n```sh\n# code\n| x\n```\n\n| a | b |\n|---|---|\n| 1 | |\n";
        assert_eq!(parse(written), expected);
    }
}
