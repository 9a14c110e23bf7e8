//! Counts in sentences, and messages of serde in the words of users.

/// A count with its noun: "1 slice", "3 slices". The noun may include a verb: "1 slice is", "3 slices are".
pub fn plural(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

/// Words of serde's messages, and what users read instead.
const SERDE: [(&str, &str); 10] = [
    ("unknown field", "unknown key"),
    ("missing field", "missing key"),
    ("unknown variant", "unknown value"),
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number, 0 or more"),
    ("expected u64", "expected a whole number, 0 or more"),
    ("expected usize", "expected a whole number, 0 or more"),
    ("expected f32", "expected a number"),
    ("expected f64", "expected a number"),
    ("expected a sequence", "expected a list"),
];

/// A message of serde on one line, without the names of Rust's types.
pub fn of_serde(message: &str) -> String {
    let text = SERDE.iter().fold(message.replace('\n', " "), |text, (serde, plain)| text.replace(serde, plain));
    match text.split_once("expected struct ") {
        Some((before, name)) => {
            format!("{before}expected a group of keys{}", name.trim_start_matches(char::is_alphanumeric))
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_plural() {
        assert_eq!([0, 1, 2].map(|n| plural(n, "slice", "slices")), ["0 slices", "1 slice", "2 slices"]);
    }

    #[test]
    fn a_message_of_serde_names_no_type_of_rust() {
        let message = "invalid type: string \"x\", expected usize";
        assert_eq!(of_serde(message), "invalid type: string \"x\", expected a whole number, 0 or more");
        assert_eq!(of_serde("unknown variant `a`,\nexpected `b`"), "unknown value `a`, expected `b`");
        assert_eq!(of_serde("expected struct Split at line 1"), "expected a group of keys at line 1");
    }
}
