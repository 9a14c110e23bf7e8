//! Sizes and counts as Train mode says them.

use std::path::Path;

use engine::device::DeviceInfo;

pub(crate) use crate::panel::format::NONE;

/// An amount of memory.
pub(crate) fn memory(mib: u64) -> String {
    if mib < 1000 { format!("{mib} MiB") } else { format!("{:.1} GiB", mib as f64 / 1024.0) }
}

/// A large count, to three digits.
pub(crate) fn count(n: usize) -> String {
    match n {
        0..=9_999 => n.to_string(),
        10_000..=999_999 => format!("{:.1} k", n as f64 / 1e3),
        _ => format!("{:.2} M", n as f64 / 1e6),
    }
}

/// A loss: four digits that count, whatever its size.
pub(crate) fn loss(value: f64) -> String {
    match value.abs() {
        v if !v.is_finite() => NONE.into(),
        v if v > 0.0 && v < 1e-3 => format!("{value:.2e}"),
        _ => format!("{value:.4}"),
    }
}

/// How a device is offered, with its memory where that is known.
pub(crate) fn device(info: &DeviceInfo) -> String {
    let name = format!("{}: {}", info.id, info.name);
    info.memory_mib.map_or_else(|| name.clone(), |mib| format!("{name}, {}", memory(mib)))
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// So many of something.
pub(crate) fn so_many(n: usize, one: &str, several: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {several}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_offered_with_the_memory_that_is_known() {
        let card = |memory_mib| {
            let (id, name, kind) = ("cuda:0".to_owned(), "A card".to_owned(), engine::device::DeviceKind::Gpu);
            device(&DeviceInfo { id, name, kind, memory_mib })
        };
        assert_eq!(card(Some(24_064)), "cuda:0: A card, 23.5 GiB");
        assert_eq!(card(None), "cuda:0: A card");
    }

    #[test]
    fn sizes_and_counts_keep_what_counts() {
        assert_eq!((memory(512), memory(6_144)), ("512 MiB".to_owned(), "6.0 GiB".to_owned()));
        assert_eq!([812, 48_200, 31_030_000].map(count), ["812", "48.2 k", "31.03 M"]);
        assert_eq!([0.25, 2.5e-5].map(loss), ["0.2500", "2.50e-5"]);
        assert_eq!(
            (so_many(1, "slice", "slices"), so_many(3, "slice", "slices")),
            ("1 slice".into(), "3 slices".into())
        );
    }
}
