//! Parameters of a pre-training method: the table `[method.numbers]` in `config.toml`.

use std::collections::BTreeMap;

use super::Config;
use crate::{Error, Result};

/// A parameter that a method declares: name, default and range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// Name in `[method.numbers]`.
    pub name: &'static str,
    /// Value if the settings have none.
    pub default: f64,
    /// Smallest and largest allowed value.
    pub range: [f64; 2],
    /// Short description.
    pub what: &'static str,
}

impl Number {
    /// The value in these settings.
    pub fn of(&self, config: &Config) -> f64 {
        config.method.numbers.get(self.name).copied().unwrap_or(self.default)
    }

    /// The value in these settings, rounded to a whole number of at least 0.
    pub fn count(&self, config: &Config) -> usize {
        self.of(config).round().max(0.0) as usize
    }

    /// The default of each parameter, by name.
    pub fn defaults(all: &[Self]) -> BTreeMap<String, f64> {
        all.iter().map(|number| (number.name.to_owned(), number.default)).collect()
    }

    /// An error for each unknown parameter and each value outside its range.
    pub(crate) fn errors(all: &[Self], config: &Config) -> Vec<Error> {
        let error = |(name, value): (&String, &f64)| {
            let why = match all.iter().find(|number| number.name == name) {
                Some(Self { range: [min, max], .. }) if (*min..=*max).contains(value) => return None,
                Some(Self { range: [min, max], .. }) => format!("must be between {min} and {max}"),
                None if all.is_empty() => "this method has no parameters. Remove it".to_owned(),
                None => {
                    let names: Vec<&str> = all.iter().map(|number| number.name).collect();
                    format!("this method has no such parameter. Use one of {}", names.join(", "))
                }
            };
            Some(Error::config(format!("method.numbers.{name}"), value, why))
        };
        config.method.numbers.iter().filter_map(error).collect()
    }
}

/// Parses `NAME=VALUE`.
///
/// # Errors
/// If the text has no `=` or its value is not a number.
pub fn parse_number(text: &str) -> Result<(String, f64)> {
    let bad = || Error::config("number", text, "expected NAME=VALUE");
    let (name, value) = text.split_once('=').ok_or_else(bad)?;
    Ok((name.trim().to_owned(), value.trim().parse().map_err(|_| bad())?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TEMPERATURE: Number = Number { name: "temperature", default: 0.1, range: [0.001, 10.0], what: "temperature" };

    #[test]
    fn a_parameter_has_its_default_until_it_is_set() {
        let mut config = Config::default();
        assert_eq!(TEMPERATURE.of(&config), 0.1);
        config.method.numbers.insert("temperature".into(), 4.6);
        assert_eq!((TEMPERATURE.of(&config), TEMPERATURE.count(&config)), (4.6, 5));
    }

    #[test]
    fn unknown_parameters_and_values_out_of_range_are_named() {
        let mut config = Config::default();
        config.method.numbers = [("temperature".to_owned(), f64::NAN), ("tau".to_owned(), 1.0)].into();
        let text = |all: &[Number]| Number::errors(all, &config).iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = text(&[TEMPERATURE]);
        assert!(
            found[0].contains("method.numbers.tau = 1: ") && found[0].contains("Use one of temperature"),
            "{found:?}"
        );
        assert!(found[1].contains("between 0.001 and 10"), "{found:?}");
        assert!(text(&[])[0].contains("no parameters"));
    }

    #[test]
    fn a_parameter_is_parsed_from_name_and_value() {
        assert_eq!(parse_number("tau = 0.5").unwrap(), ("tau".to_owned(), 0.5));
        assert!(parse_number("tau").is_err() && parse_number("tau=x").is_err());
    }
}
