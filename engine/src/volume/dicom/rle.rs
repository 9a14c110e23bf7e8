//! RLE Lossless (PS3.5 annex G).

/// Decodes a frame of `pixels` pixels to interleaved little-endian numbers of `width` bytes.
pub(super) fn decode(stream: &[u8], pixels: usize, samples: usize, width: usize) -> Result<Vec<u8>, String> {
    let Some(header) = stream.first_chunk::<64>() else { return Err("the RLE header is truncated".to_owned()) };
    let words: Vec<usize> = header.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b) as usize).collect();
    let segments = samples * width;
    if words[0] != segments {
        return Err(format!("{} RLE segments, {segments} expected", words[0]));
    }
    // Two bytes stand for 128 at most.
    let size = pixels * segments;
    if size > stream.len().saturating_mul(64) {
        return Err(format!("{} bytes of RLE cannot hold {size}", stream.len()));
    }
    let mut out = vec![0; size];
    for segment in 0..segments {
        let start = words[1 + segment];
        let end = if segment + 1 < segments { words[2 + segment] } else { stream.len() };
        let Some(packed) = stream.get(start..end) else {
            return Err(format!("RLE segment {segment} lies outside of its frame"));
        };
        // The most significant byte of a number comes first.
        let (sample, byte) = (segment / width, width - 1 - segment % width);
        unpack(packed, out.iter_mut().skip(sample * width + byte).step_by(segments))
            .map_err(|missing| format!("RLE segment {segment} lacks {missing} of {pixels} bytes"))?;
    }
    Ok(out)
}

/// Fills `out`. More bytes than that are padding.
///
/// # Errors
/// The number of bytes that are missing.
fn unpack<'a>(packed: &[u8], mut out: impl ExactSizeIterator<Item = &'a mut u8>) -> Result<(), usize> {
    let mut index = 0;
    while out.len() > 0 {
        let Some(&control) = packed.get(index) else { return Err(out.len()) };
        index += 1;
        match control {
            0..=127 => {
                let n = usize::from(control) + 1;
                let Some(literal) = packed.get(index..packed.len().min(index + n)) else { return Err(out.len()) };
                literal.iter().zip(out.by_ref().take(n)).for_each(|(value, out)| *out = *value);
                index += n;
            }
            128 => {}
            _ => {
                let Some(&value) = packed.get(index) else { return Err(out.len()) };
                out.by_ref().take(257 - usize::from(control)).for_each(|out| *out = value);
                index += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn frame(segments: &[&[u8]]) -> Vec<u8> {
        let mut words = vec![segments.len() as u32];
        let mut index = 64;
        for segment in segments {
            words.push(index);
            index += segment.len() as u32;
        }
        words.resize(16, 0);
        let head = words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        [head, segments.concat()].concat()
    }

    #[test]
    fn runs_and_literals_become_numbers() {
        // High bytes: 1 three times. Low bytes: 2, 3, 4.
        let stream = frame(&[&[254, 1], &[2, 2, 3, 4, 128]]);
        assert_eq!(decode(&stream, 3, 1, 2).unwrap(), [2, 1, 3, 1, 4, 1]);
        let colours = frame(&[&[255, 7], &[1, 8, 9], &[255, 0]]);
        assert_eq!(decode(&colours, 2, 3, 1).unwrap(), [7, 8, 0, 7, 9, 0]);
    }

    #[test]
    fn damaged_frames_are_errors_with_the_reason() {
        assert_eq!(decode(&[0; 63], 1, 1, 1).unwrap_err(), "the RLE header is truncated");
        assert_eq!(decode(&frame(&[&[0, 1]]), 1, 1, 2).unwrap_err(), "1 RLE segments, 2 expected");
        assert_eq!(decode(&frame(&[&[1, 5, 6]]), 3, 1, 1).unwrap_err(), "RLE segment 0 lacks 1 of 3 bytes");
        // Refused before a gigabyte is taken.
        assert_eq!(decode(&frame(&[&[129, 1]]), 1 << 30, 1, 1).unwrap_err(), "66 bytes of RLE cannot hold 1073741824");
        let mut outside = frame(&[&[0, 1]]);
        outside[4] = 200;
        assert_eq!(decode(&outside, 1, 1, 1).unwrap_err(), "RLE segment 0 lies outside of its frame");
    }
}
