//! Header extensions, stored between the header and the voxels.

use crate::volume::Extension;

/// Parses the bytes between the four flag bytes and the voxels, and returns the extensions and an optional warning.
///
/// A block of impossible size ends the list and is dropped with a warning. Voxels are located by `vox_offset`, so they
/// are not affected.
pub(super) fn parse(mut bytes: &[u8], big_endian: bool) -> (Vec<Extension>, Option<String>) {
    let mut found = Vec::new();
    let mut odd = None;
    while let Some((head, _)) = bytes.split_first_chunk::<8>() {
        if !found.is_empty() && bytes.iter().all(|&b| b == 0) {
            break; // padding after the last one
        }
        let word = |at: usize| {
            let raw = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            if big_endian { i32::from_be_bytes(raw) } else { i32::from_le_bytes(raw) }
        };
        let (size, code) = (word(0), word(4));
        let fits = usize::try_from(size).is_ok_and(|s| (8..=bytes.len()).contains(&s));
        if !fits {
            odd = Some(format!(
                "an extension claims {size} bytes with {} left before the voxels, so it is dropped",
                bytes.len()
            ));
            break;
        }
        if size % 16 != 0 {
            odd = Some(format!("an extension has {size} bytes, which is not a multiple of 16"));
        }
        let (block, rest) = bytes.split_at(size as usize);
        found.push(Extension { code, data: block[8..].to_vec() });
        bytes = rest;
    }
    (found, odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: i32, len: usize) -> Vec<u8> {
        let mut b = size.to_le_bytes().to_vec();
        b.extend(6_i32.to_le_bytes());
        b.resize(len, b'x');
        b
    }

    #[test]
    fn good_blocks_are_kept_and_bad_sizes_end_the_list() {
        let two = [block(16, 16), block(32, 32)].concat();
        let (found, odd) = parse(&two, false);
        assert_eq!((found.len(), odd), (2, None));
        assert_eq!(found[1].data.len(), 24);
        for size in [0, -16, 1, 4096, i32::MAX, i32::MIN] {
            let (found, odd) = parse(&[block(16, 16), block(size, 32)].concat(), false);
            assert_eq!(found.len(), 1, "{size}");
            assert!(odd.is_some(), "{size}");
        }
        let (found, odd) = parse(&block(20, 32), false);
        assert_eq!(found.len(), 1);
        assert!(odd.is_some());
        assert_eq!(parse(&[], true), (Vec::new(), None));
        // Byte-swapped, a size of 16 is far too large.
        assert!(parse(&block(16, 16), true).1.is_some());
    }

    #[test]
    fn content_is_not_shown() {
        let shown = format!("{:?}", parse(&block(16, 16), false).0);
        assert!(!shown.contains("120") && !shown.contains("xxx"), "{shown}");
    }
}
