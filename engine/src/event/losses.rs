//! Named numbers of a step or an epoch: loss parts and diagnostics.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::number;

/// Numbers by name: the parts of a loss, or a method's diagnostics. The names depend on the method: AMLP has the parts
/// `pred`, `rrl` and `lcl`, fine-tuning has `dice` and `bce`. They keep the method's order; in JSON they are an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses(Vec<(String, f64)>);

impl Losses {
    /// The value of a part, if it exists.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(part, _)| part == name).map(|(_, value)| *value)
    }

    /// True if there are no parts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes a part and returns its value.
    pub fn take(&mut self, name: &str) -> Option<f64> {
        let at = self.0.iter().position(|(part, _)| part == name)?;
        Some(self.0.remove(at).1)
    }

    /// Sets the value of a part. A new part is appended.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(part, _)| part == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// All parts in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Adds `weight` times the value of each part; a new part starts at 0.
    pub fn add<'a>(&mut self, parts: impl IntoIterator<Item = (&'a str, f64)>, weight: f64) {
        for (name, value) in parts {
            match self.0.iter_mut().find(|(part, _)| part == name) {
                Some((_, sum)) => *sum += value * weight,
                None => self.0.push((name.to_owned(), value * weight)),
            }
        }
    }

    /// Every part divided by `n`.
    #[must_use]
    pub fn divided_by(&self, n: f64) -> Self {
        self.iter().map(|(name, value)| (name, value / n)).collect()
    }
}

impl<S: Into<String>> FromIterator<(S, f64)> for Losses {
    fn from_iter<I: IntoIterator<Item = (S, f64)>>(parts: I) -> Self {
        Self(parts.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

/// A value that JSON may not be able to write as a number.
#[derive(Serialize, Deserialize)]
struct Value(#[serde(with = "number")] f64);

impl Serialize for Losses {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, &Value(value))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Losses {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Losses;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object of numbers")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Losses, M::Error> {
                let mut parts = Vec::new();
                while let Some((name, Value(value))) = map.next_entry::<String, Value>()? {
                    parts.push((name, value));
                }
                Ok(Losses(parts))
            }
        }

        from.deserialize_map(Parts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_order_in_json() {
        let losses: Losses = [("rrl", 0.5), ("lcl", f64::NAN), ("a", 1.0)].into_iter().collect();
        let json = serde_json::to_string(&losses).unwrap();
        assert_eq!(json, r#"{"rrl":0.5,"lcl":"NaN","a":1.0}"#);
        let read: Losses = serde_json::from_str(&json).unwrap();
        assert!(read.iter().map(|(name, _)| name).eq(["rrl", "lcl", "a"]) && read.get("lcl").unwrap().is_nan());
    }

    #[test]
    fn weighted_sums_by_name() {
        let mut sums = Losses::default();
        sums.add([("dice", 0.5), ("bce", 1.0)], 4.0);
        sums.add([("dice", 1.0), ("bce", 2.0)], 2.0);
        assert_eq!(sums.divided_by(6.0), [("dice", 4.0 / 6.0), ("bce", 8.0 / 6.0)].into_iter().collect());
        assert_eq!(sums.get("l1"), None);
    }
}
