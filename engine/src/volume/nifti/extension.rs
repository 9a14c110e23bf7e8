//! Header extensions, stored between the header and the voxels.

use crate::volume::Extension;

/// `NIFTI_ECODE_COMMENT`: plain text.
const COMMENT: i32 = 6;
/// Start of the comment that holds the padding of a volume from DICOM, named after PixelPaddingValue (0028,0120).
const PADDING: &str = "PixelPadding ";

/// Parses the bytes between the four flag bytes and the voxels, and returns the extensions and an optional warning.
///
/// A block of impossible size ends the list and is dropped with a warning. Voxels are located by `vox_offset`, so they
/// are not affected.
pub(super) fn parse(mut bytes: &[u8], big_endian: bool) -> (Vec<Extension>, Option<String>) {
    let mut extensions = Vec::new();
    let mut odd = None;
    while let Some((head, _)) = bytes.split_first_chunk::<8>() {
        if !extensions.is_empty() && bytes.iter().all(|&b| b == 0) {
            break; // padding after the last one
        }
        let word = |index: usize| {
            let raw = [head[index], head[index + 1], head[index + 2], head[index + 3]];
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
        extensions.push(Extension { code, data: block[8..].to_vec() });
        bytes = rest;
    }
    (extensions, odd)
}

/// The extension that records the lowest and highest stored value of padding, in a little-endian file.
pub(super) fn of_padding([low, high]: [f64; 2]) -> Vec<u8> {
    let text = format!("{PADDING}{low} {high}");
    let size = (8 + text.len()).next_multiple_of(16);
    let mut block = [size as i32, COMMENT].map(i32::to_le_bytes).concat();
    block.extend(text.bytes());
    block.resize(size, 0);
    block
}

/// The stored values that an extension of [`of_padding`] marks as padding.
pub(super) fn padding(extensions: &[Extension]) -> Option<[f64; 2]> {
    extensions.iter().filter(|extension| extension.code == COMMENT).find_map(|extension| {
        let text = std::str::from_utf8(&extension.data).ok()?.trim_end_matches('\0');
        let (low, high) = text.strip_prefix(PADDING)?.split_once(' ')?;
        Some([low.parse().ok()?, high.parse().ok()?])
    })
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
        let (result, odd) = parse(&two, false);
        assert_eq!((result.len(), odd), (2, None));
        assert_eq!(result[1].data.len(), 24);
        for size in [0, -16, 1, 4096, i32::MAX, i32::MIN] {
            let (result, odd) = parse(&[block(16, 16), block(size, 32)].concat(), false);
            assert_eq!(result.len(), 1, "{size}");
            assert!(odd.is_some(), "{size}");
        }
        let (result, odd) = parse(&block(20, 32), false);
        assert_eq!(result.len(), 1);
        assert!(odd.is_some());
        assert_eq!(parse(&[], true), (Vec::new(), None));
        // Byte-swapped, a size of 16 is far too large.
        assert!(parse(&block(16, 16), true).1.is_some());
    }

    #[test]
    fn only_the_padding_comment_marks_padding() {
        let of = |code, text: &str| padding(&[Extension { code, data: text.into() }]);
        assert_eq!(of(6, "PixelPadding -2000 -1990.5\0\0"), Some([-2000.0, -1990.5]));
        for text in ["PixelPadding -2000", "PixelPadding a b", "a comment", "", "pixelpadding 1 2"] {
            assert_eq!(of(6, text), None, "{text}");
        }
        assert_eq!((of(4, "PixelPadding 1 2"), padding(&[Extension { code: 6, data: vec![0xff] }])), (None, None));
    }

    #[test]
    fn content_is_not_shown() {
        let shown = format!("{:?}", parse(&block(16, 16), false).0);
        assert!(!shown.contains("120") && !shown.contains("xxx"), "{shown}");
    }
}
