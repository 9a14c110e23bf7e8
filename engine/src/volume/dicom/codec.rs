//! Decoding of one compressed frame.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oxiarc_jpeg::{DecodeLimits, DecodeOptions, Decoder, JpegError};

use super::pixels::PixelLayout;
use super::source::inflate;
use super::{DicomFile, Syntax, Tag, rle};
use crate::Result;

/// Decodes a frame to [`PixelLayout::frame_bytes`] bytes: little-endian numbers of `bits_allocated` bits, with the samples of
/// each pixel together.
///
/// # Errors
/// A stream that is damaged, or whose header contradicts that of the file. A panic of a decoder also becomes an error.
pub(super) fn decode(file: &DicomFile, stream: &[u8], layout: &PixelLayout) -> Result<Vec<u8>> {
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_stream(file.syntax, stream, layout)));
    let decoded = decoded.unwrap_or_else(|_| Err("the decoder failed on a damaged frame".to_owned()));
    let bytes = decoded.map_err(|why| file.error(Tag::PIXEL_DATA, why))?;
    if bytes.len() == layout.frame_bytes() {
        return Ok(bytes);
    }
    Err(file.error(Tag::PIXEL_DATA, format!("a frame has {} bytes, {} expected", bytes.len(), layout.frame_bytes())))
}

fn decode_stream(syntax: Syntax, stream: &[u8], layout: &PixelLayout) -> Result<Vec<u8>, String> {
    match syntax {
        Syntax::Rle => {
            if layout.bits_allocated < 8 {
                return Err("RLE of single bits is not defined".to_owned());
            }
            rle::decode(stream, layout.rows * layout.columns, layout.samples, layout.bits_allocated / 8)
        }
        Syntax::DeflatedFrames => {
            let (bytes, _) =
                inflate(stream, layout.frame_bytes()).map_err(|e| format!("damaged deflate stream: {e}"))?;
            Ok(bytes)
        }
        Syntax::Jpeg => jpeg(stream, layout),
        Syntax::JpegLs => jpeg_ls(stream, layout),
        Syntax::Jpeg2000 => jpeg_2000(stream, layout),
        _ => Err("no decoder for this transfer syntax".to_owned()),
    }
}

/// Size and precision in the header of a compressed frame.
struct StreamHeader {
    columns: usize,
    rows: usize,
    components: usize,
    precision: usize,
}

impl StreamHeader {
    /// Compares the stream with the file, before the decoder allocates anything.
    fn check(&self, layout: &PixelLayout) -> Result<(), String> {
        let Self { columns, rows, components, precision } = *self;
        if (columns, rows, components) != (layout.columns, layout.rows, layout.samples) {
            let expected = format!("{} x {} x {}", layout.columns, layout.rows, layout.samples);
            return Err(format!("a frame of {columns} x {rows} x {components} numbers, {expected} expected"));
        }
        if precision > layout.bits_allocated || layout.bits_allocated > 16 {
            return Err(format!(
                "a frame has {precision} bits per number, but they are stored in {}",
                layout.bits_allocated
            ));
        }
        Ok(())
    }
}

/// Numbers as little-endian bytes of the file's width; bits eight to a byte, the first one lowest.
fn to_bytes(numbers: impl Iterator<Item = u16>, layout: &PixelLayout) -> Vec<u8> {
    match layout.bits_allocated {
        1 => {
            let mut bytes = vec![0; layout.frame_bytes()];
            for index in
                numbers.take(layout.frame_len()).enumerate().filter(|(_, n)| n & 1 == 1).map(|(index, _)| index)
            {
                bytes[index / 8] |= 1 << (index % 8);
            }
            bytes
        }
        8 => numbers.map(|number| number as u8).collect(),
        _ => numbers.flat_map(u16::to_le_bytes).collect(),
    }
}

fn jpeg(stream: &[u8], layout: &PixelLayout) -> Result<Vec<u8>, String> {
    let limits = DecodeLimits {
        max_width: layout.columns as u32,
        max_height: layout.rows as u32,
        max_pixels: (layout.rows * layout.columns) as u64,
        max_components: layout.samples as u8,
        max_scans: 64,
        max_coefficient_bytes: 64 * layout.frame_len() as u64 + (1 << 20),
        max_output_bytes: 2 * layout.frame_len() as u64,
        max_input_bytes: stream.len() as u64,
    };
    // Colours leave as RGB.
    let raw_components = !layout.photometric.starts_with("YBR");
    let options = DecodeOptions { limits, raw_components, ..DecodeOptions::default() };
    let mut decoder = Decoder::with_options(stream, options);
    let failed = |error: JpegError| format!("damaged JPEG frame: {error}");
    let info = decoder.read_info().map_err(failed)?;
    let (columns, rows) = (usize::from(info.width), usize::from(info.height));
    let header = StreamHeader { columns, rows, components: info.components().len(), precision: info.precision.into() };
    header.check(layout)?;
    if info.pixel_format().is_wide() {
        return Ok(to_bytes(decoder.decode_u16().map_err(failed)?.into_iter(), layout));
    }
    Ok(to_bytes(decoder.decode().map_err(failed)?.into_iter().map(u16::from), layout))
}

fn jpeg_ls(stream: &[u8], layout: &PixelLayout) -> Result<Vec<u8>, String> {
    let damaged = || "damaged JPEG-LS frame: no frame header".to_owned();
    let offset = stream.windows(2).position(|marker| marker == [0xff, 0xf7]).ok_or_else(damaged)?;
    let &[_, _, precision, rows, rows2, columns, columns2, components] =
        stream.get(offset + 2..offset + 10).and_then(<[u8]>::first_chunk).ok_or_else(damaged)?;
    let word = |high, low| usize::from(u16::from_be_bytes([high, low]));
    let (columns, rows) = (word(columns, columns2), word(rows, rows2));
    if components != 1 {
        return Err("JPEG-LS in colour is not supported".to_owned());
    }
    StreamHeader { columns, rows, components: 1, precision: precision.into() }.check(layout)?;
    let decode = |stream: &[u8]| {
        // Some streams make the decoder overflow, which is a panic in a debug build.
        catch_unwind(|| jpegls::decode(stream, columns as u32, rows as u32))
            .map_err(|_| "the stream contradicts itself".to_owned())
            .and_then(|decoded| decoded.map_err(|error| error.to_string()))
    };
    // Some encoders fill up with zeros before the end marker.
    let trimmed = || {
        let end = stream.windows(2).rposition(|marker| marker == [0xff, 0xd9])?;
        let data = stream[..end].iter().rposition(|&byte| byte != 0)? + 1;
        (data < end).then(|| [&stream[..data], &[0xff, 0xd9]].concat())
    };
    let numbers = match decode(stream) {
        Ok(decoded) => decoded.0,
        Err(why) => match trimmed().map(|stream| decode(&stream)) {
            Some(Ok(decoded)) => decoded.0,
            _ => return Err(format!("damaged JPEG-LS frame: {why}")),
        },
    };
    Ok(to_bytes(numbers.into_iter(), layout))
}

fn jpeg_2000(stream: &[u8], layout: &PixelLayout) -> Result<Vec<u8>, String> {
    let damaged = |why: &str| format!("damaged JPEG 2000 frame: {why}");
    let start = stream.windows(4).position(|head| head == [0xff, 0x4f, 0xff, 0x51]);
    let size = start.and_then(|index| stream.get(index + 6..index + 45)).ok_or_else(|| damaged("no image size"))?;
    let word =
        |index: usize| u32::from_be_bytes([size[index], size[index + 1], size[index + 2], size[index + 3]]) as usize;
    let (columns, rows) = (word(2).wrapping_sub(word(10)), word(6).wrapping_sub(word(14)));
    let components = usize::from(u16::from_be_bytes([size[34], size[35]]));
    let precision = usize::from(size[36] & 0x7f) + 1;
    StreamHeader { columns, rows, components, precision }.check(layout)?;
    let image = jpeg2k::Image::from_bytes(stream).map_err(|error| damaged(&error.to_string()))?;
    let planes = image.components();
    let sized = |plane: &jpeg2k::ImageComponent| {
        (plane.width() as usize, plane.height() as usize) == (columns, rows) && plane.data().len() == columns * rows
    };
    if planes.len() != components || !planes.iter().all(sized) {
        return Err(damaged("its components differ in size"));
    }
    // Two's complement in the low bits, whatever sign the stream states.
    let numbers = (0..columns * rows).flat_map(|index| planes.iter().map(move |plane| plane.data()[index] as u16));
    Ok(to_bytes(numbers, layout))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::VoxelData;

    /// A bit mask of 32 x 32 pixels in JPEG 2000: columns 5 to 26 of rows 3 to 19, without columns 8 to 19 of rows 10 and 11.
    const MASK: &str = "ff4fff510029000000000020000000200000000000000000000000200000002000000000000000000001000101\
                        ff52000c00000001000504040001ff5c00134008101018101018101018101018101018\
                        ff90000a0000000000470001ff938080c8a420027f0fc8a45110215b181f217fc964b3a2001680e1078f19537964cf19\
                        5fc02ac964f1201e40a3e27f20de0d361a36e71bcd3a81ffd9";

    #[test]
    fn a_bit_mask_in_jpeg_2000_is_read() {
        let stream: Vec<u8> =
            (0..MASK.len()).step_by(2).map(|at| u8::from_str_radix(&MASK[at..at + 2], 16).unwrap()).collect();
        let layout = PixelLayout {
            rows: 32,
            columns: 32,
            samples: 1,
            frames: 1,
            bits_allocated: 1,
            bits_stored: 1,
            high_bit: 0,
            signed: false,
            planar: false,
            float: false,
            photometric: "MONOCHROME2".to_owned(),
        };
        let inside = |index: usize| {
            let (row, column) = (index / 32, index % 32);
            let hole = (10..12).contains(&row) && (8..20).contains(&column);
            u8::from((3..20).contains(&row) && (5..27).contains(&column) && !hole)
        };
        let bytes = jpeg_2000(&stream, &layout).unwrap();
        assert_eq!(layout.numbers(&bytes), VoxelData::U8((0..1024).map(inside).collect()));
    }
}
