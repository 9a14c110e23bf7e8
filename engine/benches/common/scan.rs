//! A synthetic scan of typical size.

use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};

/// Shape in voxels.
pub const SHAPE: [usize; 3] = [240, 240, 155];

/// A textured, head-sized ellipsoid on zeros, about as compressible as a skull-stripped scan.
fn voxels() -> Vec<i16> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut values = Vec::with_capacity(SHAPE.iter().product());
    for k in 0..SHAPE[2] {
        for j in 0..SHAPE[1] {
            for i in 0..SHAPE[0] {
                let offset = |at: usize, side: usize| (at as f64 - side as f64 / 2.0) / (0.36 * side as f64);
                let r = offset(i, SHAPE[0]).powi(2) + offset(j, SHAPE[1]).powi(2) + offset(k, SHAPE[2]).powi(2);
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = (state >> 58) as i16;
                values.push(if r < 1.0 { 300 + (200.0 * (1.0 - r)) as i16 + noise } else { 0 });
            }
        }
    }
    values
}

/// Writes the voxels to a gzipped NIfTI-1 file, 1 mm, RAS+ sform.
pub fn write_scan(path: &Path) -> std::io::Result<()> {
    let mut header = [0_u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348_i32.to_le_bytes());
    for (i, size) in [3, SHAPE[0] as i16, SHAPE[1] as i16, SHAPE[2] as i16, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &size.to_le_bytes());
    }
    put(70, &4_i16.to_le_bytes()); // datatype: int16
    put(72, &16_i16.to_le_bytes()); // bitpix
    for i in 0..4 {
        put(76 + 4 * i, &1.0_f32.to_le_bytes()); // pixdim
    }
    put(108, &352.0_f32.to_le_bytes()); // vox_offset
    put(112, &1.0_f32.to_le_bytes()); // scl_slope
    put(123, &[2]); // millimetres
    put(254, &1_i16.to_le_bytes()); // sform_code
    for row in 0..3 {
        put(280 + 16 * row + 4 * row, &1.0_f32.to_le_bytes());
    }
    put(344, b"n+1\0");
    let mut gz = GzEncoder::new(std::fs::File::create(path)?, Compression::new(6));
    gz.write_all(&header)?;
    gz.write_all(&voxels().iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
    gz.finish()?.sync_all()
}
