//! Counts in sentences.

/// A count with its noun: "1 slice", "3 slices". The noun may include a verb: "1 slice is", "3 slices are".
pub fn plural(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_plural() {
        assert_eq!([0, 1, 2].map(|n| plural(n, "slice", "slices")), ["0 slices", "1 slice", "2 slices"]);
    }
}
